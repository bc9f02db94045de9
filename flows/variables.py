"""The environment variables `HASHPIVOT_*`: which there are, and the nearest of them to one that there is not."""

from collections.abc import Collection, Iterable
from typing import Final

from flows.sources.kinds import is_source, kinds, variable
from schemas.errors import SettingsError

PREFIX: Final = "HASHPIVOT_"
OF_TESTS: Final = "HASHPIVOT_TEST_"
"""Beginning of what only the tests read."""
LEAST_LIKENESS: Final = 0.6
"""Of two names without the prefix, from 0 to 1: below, one is not the other misspelt."""
SAME_FIELD_LIKENESS: Final = 0.8
"""Above, the end of a variable is a misspelt field of a source and not a field of a second server."""


def refuse_unknown(given: Iterable[str], of_settings: Iterable[str]) -> None:
    """Raise `SettingsError` for the first of the variables `given` that nothing reads. The value may be a secret.

    `of_settings`: names of the settings that belong to no source.
    """
    of_sources = [variable(name, field) for name, kind in kinds().items() for field in kind.settings.model_fields]
    known = [*(f"{PREFIX}{name}".upper() for name in of_settings), *of_sources]
    names = sorted(given)
    for name in names:
        if name not in known and not name.startswith(OF_TESTS) and not _is_of_second_server(name, names):
            raise SettingsError("environment", name, _nearest(name, known), "rename or unset it")


def _is_of_second_server(name: str, given: Collection[str]) -> bool:
    """Whether `name` is a setting of a second server of a hosted kind, whose address has to be given too."""
    for kind, facts in kinds().items():
        start = variable(kind, "")
        if not (facts.hosted and name.startswith(start)):
            continue
        rest = name.removeprefix(start)
        if _nearest_of(rest, [field.upper() for field in facts.settings.model_fields], SAME_FIELD_LIKENESS):
            continue
        for field in facts.settings.model_fields:
            server = f"{kind}.{rest.removesuffix(field.upper()).removesuffix('_').lower()}"
            if variable(server, field) == name and is_source(server) and variable(server, "url") in given:
                return True
    return False


def _nearest(name: str, known: Collection[str]) -> str:
    nearest = _nearest_of(name.removeprefix(PREFIX), [each.removeprefix(PREFIX) for each in known], LEAST_LIKENESS)
    return f"{PREFIX}{nearest}" if nearest else "a setting that docs/reference.md lists"


def _nearest_of(name: str, known: list[str], least: float) -> str | None:
    from difflib import get_close_matches

    return next(iter(get_close_matches(name, known, n=1, cutoff=least)), None)
