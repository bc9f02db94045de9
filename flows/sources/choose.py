"""Names of profiles to sources: the one place that knows what each source needs from the settings."""

from flows.settings import Settings
from flows.sources.protocol import Source
from schemas.errors import SettingsError


def source_named(name: str, settings: Settings) -> Source:
    """The source called `name`; modules are imported when asked for, so that a run loads only what it uses.

    Raises `SettingsError` when a setting the source needs is missing.
    """
    if name == "simulated":
        from flows.sources.simulated import Simulated

        return Simulated(seed=settings.simulated_seed)
    if name == "files":
        from flows.sources.files import Files

        if settings.files_dir is None:
            raise SettingsError(
                "HASHPIVOT_FILES_DIR", None, "a folder of vendor exports", "set it, or pass --files-dir"
            )
        return Files(settings.files_dir)
    raise SettingsError("profile source", name, "simulated or files", "correct the profile")
