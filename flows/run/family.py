"""Whose data a home holds: of the main chain, of the simulated one, or of another chain. A home belongs to one of them.

What is simulated or comes from a test chain must not take the place of real data unnoticed. Which family a profile is
of follows from its sources, so that a profile of one's own is no exception.
"""

from typing import Final, NamedTuple

from flows.settings import Profile, Settings
from flows.sources.kinds import MAIN, kind_of
from flows.sources.simulated.kind import SIMULATED
from schemas.errors import SettingsError
from warehouse.targets.files import manifest

TO_SWITCH: Final = (
    "name another home with --home or HASHPIVOT_HOME, or change what this one holds with --switch-profile, "
    "in a form `Switch profile`"
)


class Held(NamedTuple):
    """What the publication of a home is of: the family, and the profile that published it."""

    family: str
    profile: str


def family_of(settings: Settings, profile: Profile) -> str:
    """The family of `profile`: `main` where all of its sources are of the main chain, else what the others are of.

    Raises `SettingsError` for a setting of a source that cannot be used.
    """
    return " and ".join(sorted(_others(settings, profile))) or MAIN


def is_test_chain(settings: Settings, profile: Profile) -> bool:
    """Whether blocks of `profile` are those of a test chain, neither of the main one nor of the simulated one.

    Raises as `family_of`.
    """
    return bool(_others(settings, profile) - {SIMULATED.name})


def _others(settings: Settings, profile: Profile) -> set[str]:
    return {kind_of(name).family(settings.of_source(name)) for name in profile.sources} - {MAIN}


def held(settings: Settings) -> Held | None:
    """What the home holds, by the manifest of its publication; None where nothing is published."""
    stated = manifest(settings.published)
    if "profile" not in stated:
        return None
    # Versions up to 0.1.0 stated only whether the data was simulated.
    family = stated.get("family") or (SIMULATED.name if stated.get("simulated") else MAIN)
    return Held(family, stated["profile"])


def refuse_other_family(settings: Settings, profile: Profile) -> None:
    """Raise `SettingsError` where the home holds data of another family than that of `profile`."""
    found, wanted = held(settings), family_of(settings, profile)
    if found is not None and found.family != wanted:
        raise SettingsError(
            f"home {settings.home}",
            f"{found.family} data of profile {found.profile}",
            f"{wanted} data, which profile {profile.name} publishes",
            TO_SWITCH,
        )
