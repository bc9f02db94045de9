"""Environment and profile, read once when the process starts and passed down.

Settings of a source are declared in its own folder, see `flows.sources.kinds`.
"""

import os
import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from flows.sources.kinds import SourceSettings, is_source, kind_of, kinds, suppliers_of, variable
from flows.variables import PREFIX, refuse_unknown
from schemas.errors import SettingsError
from schemas.series import Group
from schemas.targets import target_addresses

DEFAULT_MAX_REQUESTS = 1_000
"""Several times what a first run needs, and little enough that a mistake of ours costs nobody much."""
MOST_MAX_REQUESTS = 100_000
MOST_SHARDS = 366
"""Parts of one backfill: a year by the day."""
Runner = Literal["threads", "dask"]
"""What reads shards: threads of the run itself, or workers of Dask."""


def _variables() -> dict[str, str]:
    return {name.upper(): value for name, value in os.environ.items() if name.upper().startswith(PREFIX)}


class Settings(BaseSettings):
    """Settings from `HASHPIVOT_*`; a command-line option overrides its variable."""

    model_config = SettingsConfigDict(env_prefix="HASHPIVOT_", frozen=True, extra="ignore")

    home: Path = Field(Path("data"), description="Folder that holds everything a run writes")
    profile: str = Field("demo", description="Name of a built-in profile, or path of a TOML file")
    max_requests: int = Field(
        DEFAULT_MAX_REQUESTS, ge=0, le=MOST_MAX_REQUESTS, description="Most requests to hosted sources in one run"
    )
    web_time_scale: float = Field(
        1, gt=0, le=1, description="Shrinks pauses, time-outs and rate windows; for servers on loopback only"
    )
    runner: Runner = Field("threads", description="What reads shards: threads, or workers of Dask")
    dask_address: str | None = Field(
        None,
        pattern=r"^(tcp|tls)://[^\s/@]+:\d+$",
        description="Address of Dask's scheduler, such as tcp://10.0.0.5:8786; a local cluster where there is none",
    )
    labels_file: Path | None = Field(None, description="File that says who holds which address")
    accept: str = Field(
        "", description="Names of checks that may fail without stopping the run, separated by semicolons"
    )
    keep_publications: int = Field(3, ge=1, le=1000, description="Versions of the publication that are kept")
    keep_snapshots: int | None = Field(
        None, ge=1, description="Publications whose values a DuckLake keeps; all of them where none is set"
    )
    targets: str | None = Field(
        None,
        description="Where each version is published beside the home, such as s3://BUCKET/PREFIX, separated by commas; "
        "in the place of what the profile names",
    )
    daily_cron: str = Field("30 2 * * *", description="When `serve` starts the daily run, in UTC")
    weekly_cron: str = Field("0 5 * * 1", description="When `serve` refreshes registry and filings, in UTC")
    late_after_hours: float = Field(
        6, gt=0, le=240, description="Hours of UTC after which a day that is not published is late"
    )
    published_url: str | None = Field(
        None,
        pattern=r"^https?://[^\s/]+(/[^\s?#]*)?$",
        description="Address under which people reach the folder of publications; links of runs lead there",
    )
    alert_webhook_url: SecretStr | None = Field(None, description="Address that is sent alerts as JSON")
    alert_slack_url: SecretStr | None = Field(None, description="Incoming webhook of Slack that is sent alerts")
    alert_mail_url: SecretStr | None = Field(
        None,
        description="Mail server and addressee of alerts: mailtos://user:password@smtp.example.org?from=...&to=...",
    )

    _variables: dict[str, str] = PrivateAttr(default_factory=_variables)
    """The environment as it was when these settings were made."""

    def of_source(self, name: str) -> SourceSettings:
        """Settings of the source that a profile calls `name`. Raises `SettingsError` naming the variable."""
        kind = kind_of(name)
        named = {field: variable(name, field) for field in kind.settings.model_fields}
        given = {field: self._variables[name] for field, name in named.items() if name in self._variables}
        try:
            settings: SourceSettings = kind.settings.model_validate(given)
        except ValidationError as error:
            raise _unusable(f"HASHPIVOT_{name}", error) from error
        return settings

    @property
    def accepted(self) -> tuple[str, ...]:
        """Names of the checks that do not stop a run."""
        return tuple(name for part in self.accept.split(";") if (name := part.strip()))

    def targets_of(self, profile: "Profile") -> tuple[str, ...]:
        """Addresses that versions are published to beside the home. Raises `SettingsError` for what is none."""
        if self.targets is None:
            return profile.targets
        return target_addresses("HASHPIVOT_TARGETS", self.targets.split(","))

    @property
    def working_database(self) -> Path:
        """The writer's private database."""
        return self.home / "warehouse" / "working.duckdb"

    @property
    def published(self) -> Path:
        """Folder of the publications."""
        return self.home / "published"

    @property
    def web(self) -> Path:
        """Folder of what requests to hosted sources share: their queues and cached responses."""
        return self.home / "web"

    @property
    def workers(self) -> Path:
        """Folder of what a run and its workers in other processes share while it lasts."""
        return self.web / "workers"

    @property
    def rebuilt(self) -> Path:
        """Folder of publications beside the current one: as of an earlier moment, or of an earlier day."""
        return self.home / "rebuilt"

    @property
    def alert_state(self) -> Path:
        """What alerts were last compared with, so that none is sent twice."""
        return self.home / "alerts.json"

    @property
    def lock_file(self) -> Path:
        """Held for the length of a run."""
        return self.home / "run.lock"

    @property
    def scheduler_home(self) -> Path:
        """Where the scheduler keeps its own state when it has no other place."""
        return self.home / "prefect"

    @property
    def backed_up(self) -> tuple[Path, ...]:
        """What of the home cannot be fetched or set up again: no login, key or cookie, nothing of the scheduler.

        Files that the user names by settings are part of it where they lie in the home.
        """
        own = [self.working_database.parent, self.published, self.rebuilt, self.alert_state]
        home, named = self.home.resolve(), [path.resolve() for path in (self.labels_file, Path(self.profile)) if path]
        inside = [path for path in named if path.is_file() and path.is_relative_to(home)]
        return (*own, *(self.home / path.relative_to(home) for path in inside))


class Profile(BaseModel):
    """Which sources a run uses, and which supplier is preferred for which group of series.

    `targets`: addresses that versions are published to beside the home, where `HASHPIVOT_TARGETS` names none.
    `degrades`: a source that fails is reported, and the run goes on with the others, unless it is one of `required`;
    otherwise it ends the run.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    title: str
    degrades: bool = False
    required: tuple[str, ...] = ()
    sources: tuple[str, ...] = Field(min_length=1)
    precedence: dict[Group, tuple[str, ...]]
    targets: tuple[str, ...] = ()

    def can_miss(self, source: str) -> bool:
        """Whether a run goes on where `source` fails."""
        return self.degrades and source not in self.required


def read_settings(**given: Any) -> Settings:
    """Settings from the environment with the options that were `given`, None meaning not given.

    An option that is no field of `Settings` is a setting of a source: `files_dir` stands for `HASHPIVOT_FILES_DIR`.
    Raises `SettingsError` naming the first setting that cannot be used, or that there is not.
    """
    options = {name: value for name, value in given.items() if value is not None}
    own = {name: value for name, value in options.items() if name in Settings.model_fields}
    try:
        settings = Settings(**own)
    except ValidationError as error:
        raise _unusable("HASHPIVOT", error) from error
    _check_home(settings.home)
    target_addresses("HASHPIVOT_TARGETS", (settings.targets or "").split(","))
    of_sources = {f"HASHPIVOT_{name}".upper(): str(value) for name, value in options.items() if name not in own}
    settings._variables.update(of_sources)
    refuse_unknown(settings._variables, Settings.model_fields)
    for name in kinds():
        settings.of_source(name)
    return settings


def _check_home(home: Path) -> None:
    """Raise `SettingsError` for a folder that DuckDB and the scheduler could not name."""
    whole = str(home.resolve())
    if "?" in whole or not whole.isprintable():
        raise SettingsError(
            "HASHPIVOT_HOME",
            whole,
            "a path of characters that can be printed and without ?, where DuckDB ends the name of a file",
            "name another folder",
        )


def _unusable(prefix: str, error: ValidationError) -> SettingsError:
    first = error.errors()[0]
    name = "_".join([prefix, *(str(part) for part in first["loc"])]).replace(".", "_").upper()
    return SettingsError(name, first["input"], first["msg"], "correct the variable or the option")


def export(settings: Settings) -> None:
    """Put what options have decided into the environment, where flows and the processes of runs read it."""
    os.environ.update(settings._variables)
    os.environ["HASHPIVOT_HOME"] = str(settings.home.resolve())
    os.environ["HASHPIVOT_PROFILE"] = settings.profile
    os.environ["HASHPIVOT_MAX_REQUESTS"] = str(settings.max_requests)
    os.environ["HASHPIVOT_RUNNER"] = settings.runner
    if settings.dask_address is not None:
        os.environ["HASHPIVOT_DASK_ADDRESS"] = settings.dask_address


def profile_names() -> list[str]:
    """Names of the built-in profiles."""
    return sorted(
        f.name.removesuffix(".toml") for f in files("flows").joinpath("profiles").iterdir() if f.name.endswith(".toml")
    )


def read_profile(name: str) -> Profile:
    """A built-in profile by name, or a user's own by the path of its TOML file.

    Raises `SettingsError` where there is none, or where it says something that cannot be meant.
    """
    known = profile_names()
    own = Path(name)
    if name in known:
        text = files("flows").joinpath("profiles", f"{name}.toml").read_text(encoding="utf-8")
    elif own.suffix == ".toml" and own.is_file():
        text = _text_of(name)
    else:
        raise SettingsError(
            "profile", name, f"one of {', '.join(known)} or a TOML file", "name another or write the file"
        )
    try:
        profile = Profile.model_validate({"name": own.stem, **tomllib.loads(text)})
    except tomllib.TOMLDecodeError as error:
        raise SettingsError("profile", name, "a file in the form TOML", f"correct it: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"] if part != "[key]")
        found = None if first["type"] == "missing" else first["input"]
        expected = first["msg"].removeprefix("Input should be ")
        raise SettingsError(f"profile {name}, {where}", found, expected, "correct the file") from error
    _check_sources(name, profile)
    profile = profile.model_copy(update={"targets": target_addresses(f"profile {name}, targets", profile.targets)})
    for group in Group:
        _check_order(f"profile {name}, precedence.{group}", profile, group)
    return profile


def _text_of(name: str) -> str:
    """The content of a file with a profile. Raises `SettingsError` where it cannot be read as text."""
    try:
        return Path(name).read_text(encoding="utf-8")
    except OSError as error:
        raise SettingsError("profile", f"{name}: {error.strerror}", "a readable file", "grant access to it") from error
    except UnicodeDecodeError as error:
        found = f"{name} with byte 0x{error.object[error.start]:02x} at position {error.start:,}"
        raise SettingsError("profile", found, "text in UTF-8, as TOML has to be", "save it in UTF-8") from error


def _check_sources(name: str, profile: Profile) -> None:
    """Raise `SettingsError` for a source that does not exist or is named twice, or a required one that is not used."""
    where = f"profile {name}, sources"
    for source in profile.sources:
        if not is_source(source):
            raise SettingsError(where, source, f"one of {', '.join(kinds())}", "rename it")
        if profile.sources.count(source) > 1:
            raise SettingsError(where, list(profile.sources), f"{source} once", "remove it where it is too much")
    where = f"profile {name}, required"
    for source in profile.required:
        if source not in profile.sources:
            raise SettingsError(where, source, f"one of {', '.join(profile.sources)}", "rename or remove it")
    if profile.required and not profile.degrades:
        found = list(profile.required)
        raise SettingsError(where, found, "degrades = true beside it", "add that, or remove it: all are required")


def _check_order(where: str, profile: Profile, group: Group) -> None:
    """Raise `SettingsError` unless `group` ranks, each once, suppliers that the sources of the profile make.

    A group that none of the sources states may be left out or empty; its columns are NULL.
    """
    stated = [each.name for source in profile.sources for each in suppliers_of(source) if group in each.groups]
    ranked = profile.precedence.get(group)
    if stated and not ranked:
        found: list[str] | None = None if ranked is None else []
        raise SettingsError(where, found, f"one or more of {', '.join(stated)}", "rank them, the preferred one first")
    for supplier in ranked or ():
        if supplier not in stated:
            expected = f"one of {', '.join(stated)}" if stated else "no supplier, because no source here states any"
            raise SettingsError(where, supplier, expected, "rename or remove it, or add its source to `sources`")
        if ranked and ranked.count(supplier) > 1:
            raise SettingsError(where, list(ranked), f"{supplier} once", "remove it where it is too much")
