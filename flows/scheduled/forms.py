"""Forms of deployments: a field for each parameter, flat, in words, with what an empty one means on this machine.

Prefect makes a form from the signature of a flow function. It states field names in the place of titles and has no way
to refuse unknown fields, so that the schema comes from the class of the parameters, whose titles and limits are ours.
"""

import warnings
from collections.abc import Callable, Mapping
from inspect import Parameter, Signature
from typing import Any, Final, Literal

from prefect.flows import Flow
from prefect.utilities.callables import ParameterSchema
from pydantic import Field
from pydantic.json_schema import PydanticJsonSchemaWarning

from flows.scheduled.parameters import EARLIER, RunParameters
from flows.settings import Settings

FROM_SETTINGS: Final = ("profile", "max_requests", "runner")
"""Fields that override the setting of the same name."""


class _Empty:
    """Stands for no default. Pydantic would state null, which a form sends and the server then refuses."""

    def __repr__(self) -> str:
        return "of an empty field"


# It leaves out what is no value of JSON, with a warning that `prefect deploy` would show for each field.
warnings.filterwarnings("ignore", message=rf"Default value {_Empty()!r}", category=PydanticJsonSchemaWarning)


class Form(ParameterSchema):
    """The schema of a form, which refuses every field that it does not have."""

    additionalProperties: Literal[False] = False


def form(kind: type[RunParameters], settings: Settings) -> Form:
    """The form of a deployment on the machine that has `settings`."""
    schema = kind.model_json_schema()
    fields = {name: _on_this_machine(name, field, settings) for name, field in _fields(kind).items()}
    # Prefect leaves out what was not given explicitly.
    return Form(
        title="Parameters",
        type="object",
        properties=fields,
        required=schema.get("required", []),
        definitions={},
        additionalProperties=False,
    )


def _fields(kind: type[RunParameters]) -> dict[str, dict[str, Any]]:
    """The schema of each field, in the order of the form: what is of this deployment before what others have too."""
    stated = kind.model_json_schema()["properties"]
    ordered = sorted(stated, key=lambda name: name not in kind.__annotations__)
    return {name: {**stated[name], "position": number} for number, name in enumerate(ordered)}


def _on_this_machine(name: str, field: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    """The field, whose text begins with the setting that counts where it is empty."""
    if name not in FROM_SETTINGS:
        return dict(field)
    value = getattr(settings, name)
    stated = f"{value:,}" if isinstance(value, int) else value
    text = f"{field['title']}: {stated} (setting of this machine) if empty. {field['description']}"
    return {**field, "description": text}


def sign(function: Callable[..., Any], kind: type[RunParameters]) -> None:
    """Let `function` take each field by its name, none of them required, and what earlier releases have planned.

    The class of the parameters refuses what is missing, in one line. A name that is not among these, which only comes
    past the form, is refused by Prefect's engine before the function is called: such a run ends as crashed.
    """
    names = [*kind.model_fields, EARLIER]
    parameters = [Parameter(name, Parameter.KEYWORD_ONLY, default=None) for name in names]
    function.__signature__ = Signature(parameters)  # type: ignore[attr-defined]


def sign_form(flow: Flow[..., Any], kind: type[RunParameters]) -> None:
    """Let `prefect deploy`, which reads the signature of the flow itself, make the same form for a work pool.

    It has no place for the settings of a machine, for a worker may be on another one, and none for unknown fields.
    """
    required = kind.model_json_schema().get("required", [])
    parameters = [
        Parameter(
            name,
            Parameter.KEYWORD_ONLY,
            default=Field(... if name in required else field.get("default", _Empty()), json_schema_extra=field),
        )
        for name, field in _fields(kind).items()
    ]
    flow.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
