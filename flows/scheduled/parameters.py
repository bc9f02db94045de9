"""What a person may choose about each flow: the fields of its form, and what the server refuses.

One class a deployment, with the fields that its runs use and no others. `flows.scheduled.forms` makes forms of them.
"""

import os
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, WithJsonSchema

from flows.run.plan import CATCH_UP_DAYS, Run, last_finished_day, plan, plan_catch_up, plan_past
from flows.settings import (
    MOST_MAX_REQUESTS,
    MOST_SHARDS,
    Profile,
    Runner,
    Settings,
    profile_names,
    read_profile,
    read_settings,
)
from schemas.errors import HashpivotError, SettingsError


def _known_profile(name: str | None) -> str | None:
    if name is not None and name not in profile_names():
        raise ValueError(f"one of {', '.join(profile_names())}")
    return name


# A field that may stay empty has the schema of its value; with `anyOf` and null, forms would offer a choice of type.
BuiltInProfile = Annotated[
    str | None, AfterValidator(_known_profile), WithJsonSchema({"type": "string", "enum": profile_names()})
]
"""Forms offer the names as choices, and the server refuses any other before there is a run."""
ProfileFile = Annotated[
    str | None,
    Field(pattern=r"\.toml$", max_length=500),
    WithJsonSchema({"type": "string", "pattern": r"\.toml$", "maxLength": 500}),
]
_DAY: Final = (
    r"20(09|[1-9]\d)-((0[13578]|1[02])-(0[1-9]|[12]\d|3[01])|(0[469]|11)-(0[1-9]|[12]\d|30)|02-(0[1-9]|[12]\d))"
)
"""A day since the first block. A schema can compare a day neither with today nor with another field."""
DAY_SCHEMA: Final = {"type": "string", "format": "date", "pattern": f"^{_DAY}$"}
Day = Annotated[date, WithJsonSchema(DAY_SCHEMA)]
OptionalDay = Annotated[date | None, WithJsonSchema(DAY_SCHEMA)]
Moment = Annotated[
    datetime, WithJsonSchema({"type": "string", "format": "date-time", "pattern": rf"^{_DAY}([T ][0-2]\d:[0-5]\d.*)?$"})
]
RequestBudget = Annotated[
    int | None,
    Field(ge=0, le=MOST_MAX_REQUESTS),
    WithJsonSchema({"type": "integer", "minimum": 0, "maximum": MOST_MAX_REQUESTS}),
]


OptionalRunner = Annotated[Runner | None, WithJsonSchema({"type": "string", "enum": list(get_args(Runner))})]

EARLIER: Final = "parameters"
"""What held all fields of a run in releases whose forms were not flat. Runs that these have planned still come."""


def _without_null_defaults(schema: dict[str, Any]) -> None:
    """Forms fill in defaults, and null is not among the values that a field takes."""
    for field in schema["properties"].values():
        if field.get("default", "") is None:
            del field["default"]


class RunParameters(BaseModel):
    """What a person may choose about any run. Folders and addresses are settings of the machine."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra=_without_null_defaults)

    profile: BuiltInProfile = Field(
        None,
        title="Profile",
        description="It says which sources are used, and which supplier is preferred",
    )
    profile_file: ProfileFile = Field(
        None,
        title="Profile of your own",
        description="Path of a TOML file on the machine that runs this, instead of a built-in profile",
    )

    def read(self, **more: Any) -> tuple[Settings, Profile]:
        """Settings of the machine with these parameters. Raises `SettingsError` for what cannot be used."""
        settings = read_settings(profile=self.profile_file or self.profile, **more)
        return settings, read_profile(settings.profile)

    def days(self, now: datetime) -> str:
        """What a run that starts at `now` is about: the day that it publishes, unless a range or a moment says more."""
        return str(last_finished_day(now))


class PublishingParameters(RunParameters):
    """What a person may choose about a run that publishes in the place of the current publication."""

    switch_profile: bool = Field(
        False,
        title="Switch profile",
        description="Publish even if the home holds data of another kind: real, simulated, or of another chain",
    )

    def plan(self) -> Run:
        """The run these parameters describe. Raises `SettingsError` for parameters that cannot be used."""
        return self.planned()

    def planned(self, **days: Any) -> Run:
        """The same with the `days` of `flows.run.plan.plan`."""
        return plan(*self.read(), switches_profile=self.switch_profile, **days)


class RequestingParameters(PublishingParameters):
    """What a person may choose about a run that may send requests to hosted sources."""

    max_requests: RequestBudget = Field(
        None,
        title="Most requests",
        description="What a run may send to hosted sources",
    )

    def read(self, **more: Any) -> tuple[Settings, Profile]:
        """Settings of the machine with these parameters. Raises `SettingsError` for what cannot be used."""
        return super().read(max_requests=self.max_requests, **more)


class FetchingParameters(RequestingParameters):
    """What a person may choose about a run that may read shards of a source."""

    runner: OptionalRunner = Field(
        None,
        title="Runner",
        description="What reads old blocks",
    )

    def read(self, **more: Any) -> tuple[Settings, Profile]:
        """Settings of the machine with these parameters. Raises `SettingsError` for what cannot be used."""
        return super().read(runner=self.runner, **more)


class DailyParameters(FetchingParameters):
    """What a person may choose about the daily run."""

    day: OptionalDay = Field(None, title="Day", description="Last UTC day to publish; the last finished one if empty")
    since: OptionalDay = Field(None, title="From", description="First UTC day to fetch from the sources; all if empty")
    replace: bool = Field(
        False,
        title="Replace",
        description="Publish the day in the place of a current publication that has later days, instead of beside it",
    )
    catch_up: bool = Field(
        False,
        title="Catch up",
        description=f"Publish missed days first, in order, up to {CATCH_UP_DAYS}; used only if no day is given",
    )

    def runs(self) -> Iterator[Run]:
        """The run of the day, after those of missed days if that is chosen; each is planned when it is taken."""
        if self.catch_up and self.day is None:
            return plan_catch_up(*self.read(), since=self.since, switches_profile=self.switch_profile)
        return iter([self.planned(day=self.day, since=self.since, replaces=self.replace)])

    def days(self, now: datetime) -> str:
        """The day that a run that starts at `now` publishes."""
        return str(self.day or last_finished_day(now))


class BackfillParameters(FetchingParameters):
    """What a person may choose about a backfill."""

    since: Day = Field(title="From", description="First UTC day to fetch from the sources")
    through: OptionalDay = Field(
        None,
        title="To",
        description="Last UTC day to fetch; the last finished one if empty. All that is known is published",
    )
    shards: int = Field(
        1,
        ge=1,
        le=MOST_SHARDS,
        title="Shards",
        description="Parts the range is fetched in, the oldest first; each is stored once it is there. "
        "An own node is read in shards of heights instead",
    )

    def plan(self) -> Run:
        """The run these parameters describe. Raises `SettingsError` for a range that cannot be used."""
        return self.planned(since=self.since, through=self.through)

    def days(self, now: datetime) -> str:
        """The days that a run that starts at `now` fetches."""
        return f"{self.since} to {self.through or last_finished_day(now)}"


class RefreshParameters(RequestingParameters):
    """What a person may choose about a refresh of the registry."""


class PublishParameters(PublishingParameters):
    """What a person may choose about publishing anew."""

    day: OptionalDay = Field(None, title="Day", description="Last UTC day to publish; the last finished one if empty")
    replace: bool = Field(
        False,
        title="Replace",
        description="Publish the day in the place of a current publication that has later days, instead of beside it",
    )

    def plan(self) -> Run:
        """The run these parameters describe. Raises `SettingsError` for a day that is not over."""
        return self.planned(day=self.day, replaces=self.replace)

    def days(self, now: datetime) -> str:
        """The day that a run that starts at `now` publishes."""
        return str(self.day or last_finished_day(now))


class RebuildParameters(RunParameters):
    """What a person may choose about a rebuild."""

    as_of: Moment = Field(title="As of", description="Moment in the past: nothing received later is used (UTC)")
    day: OptionalDay = Field(
        None, title="Day", description="Last UTC day to publish; the last that was finished at that moment if empty"
    )

    def plan(self) -> Run:
        """The run these parameters describe. Raises `SettingsError` for a day that was not over at the moment."""
        return plan_past(*self.read(), self._moment(), day=self.day)

    def days(self, now: datetime) -> str:
        """The moment, in UTC."""
        return f"{self._moment():%Y-%m-%d %H:%M} UTC"

    def _moment(self) -> datetime:
        return (self.as_of if self.as_of.tzinfo else self.as_of.replace(tzinfo=UTC)).astimezone(UTC)


Parameters = TypeVar("Parameters", bound=RunParameters)


def fields_of(given: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that are filled in, of a form or of a run that an earlier release has planned, see `EARLIER`."""
    filled = {name: value for name, value in given.items() if value is not None}
    earlier = filled.pop(EARLIER, {})
    if not isinstance(earlier, Mapping):
        return {EARLIER: earlier, **filled}
    return {**{name: value for name, value in earlier.items() if value is not None}, **filled}


def checked(kind: type[Parameters], given: Mapping[str, Any]) -> Parameters:
    """What a form, a program or the command has given, as parameters. Raises `SettingsError` for what does not fit."""
    try:
        return kind.model_validate(fields_of(given))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "parameters"
        if first["type"] == "extra_forbidden":
            known = ", ".join(kind.model_fields)
            raise SettingsError(where, first["input"], f"no such field, only {known}", "leave it out") from error
        if first["type"] == "missing":
            raise SettingsError(where, None, "a value", "fill in the form") from error
        expected = first["msg"].removeprefix("Input should be ")
        raise SettingsError(where, first["input"], expected, "correct the form") from error


def run_label(deployment: str, kind: type[RunParameters], given: Mapping[str, Any], now: datetime) -> str:
    """Name of the flow run that starts at `now`: deployment, day, profile. Also for parameters that cannot be used."""
    try:
        parameters = checked(kind, given)
        return f"{deployment} {parameters.days(now)} {parameters.read()[1].name}"
    except HashpivotError:
        chosen = fields_of(given)
        profile = chosen.get("profile_file") or chosen.get("profile") or os.environ.get("HASHPIVOT_PROFILE", "demo")
        return f"{deployment} {last_finished_day(now)} {Path(str(profile)).stem}"
