"""What the outside decides: environment and profile, read once at the edge and passed down."""

import os
import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from schemas.errors import SettingsError
from schemas.series import Group
from schemas.suppliers import SUPPLIERS

OWN_SOURCES = ("simulated", "files", "node")
HOSTED_SOURCES = (
    "coinmetrics",
    "mempool",
    "esplora",
    "coinbase",
    "kraken",
    "binance",
    "bitstamp",
    "cryptoquant",
    "glassnode",
    "edgar",
)
SOURCE_NAMES = (*OWN_SOURCES, *HOSTED_SOURCES)
DEFAULT_MAX_REQUESTS = 1_000
"""Several times what a first run needs, and little enough that a mistake of ours costs nobody much."""
MOST_MAX_REQUESTS = 100_000
MOST_SHARDS = 366
"""Parts of one backfill: a year by the day."""


class Settings(BaseSettings):
    """Settings from `HASHPIVOT_*`; a command-line option overrides its variable."""

    model_config = SettingsConfigDict(env_prefix="HASHPIVOT_", frozen=True, extra="ignore")

    home: Path = Field(Path("data"), description="Folder that holds everything a run writes")
    profile: str = Field("demo", description="Name of a built-in profile, or path of a TOML file")
    files_dir: Path | None = Field(None, description="Folder the files source reads")
    node_url: SecretStr | None = Field(
        None, description="Address of the node's RPC port, such as http://127.0.0.1:8332"
    )
    node_cookie_file: Path | None = Field(None, description="Cookie file in the node's data folder")
    node_user: str | None = Field(None, description="User of the node's RPC, where there is no cookie file")
    node_password: SecretStr | None = Field(None, description="Password of that user")
    node_chain: str = Field("main", description="Chain of the node: main, test, testnet4, signet or regtest")
    node_shard_blocks: int = Field(
        10_000, ge=100, le=1_000_000, description="Blocks in one shard of the coinbases that a first run reads"
    )
    coinmetrics_url: SecretStr | None = Field(None, description="Address of Coin Metrics' API, its /v4 included")
    coinmetrics_key: SecretStr | None = Field(None, description="Key of the pro API; none asks the community host")
    mempool_url: SecretStr | None = Field(None, description="Address of a mempool server, its /api included")
    esplora_url: SecretStr | None = Field(None, description="Address of an Esplora server, its /api included")
    coinbase_url: SecretStr | None = Field(None, description="Address of Coinbase Exchange's API")
    kraken_url: SecretStr | None = Field(None, description="Address of Kraken's API, its /0 included")
    binance_url: SecretStr | None = Field(
        None, description="Address of Binance's market data API, its /api/v3 included"
    )
    bitstamp_url: SecretStr | None = Field(None, description="Address of Bitstamp's API, its /api/v2 included")
    cryptoquant_url: SecretStr | None = Field(None, description="Address of CryptoQuant's API, its /v1 included")
    cryptoquant_key: SecretStr | None = Field(None, description="Token of CryptoQuant's API")
    glassnode_url: SecretStr | None = Field(None, description="Address of Glassnode's API, its /v1 included")
    glassnode_key: SecretStr | None = Field(None, description="Key of Glassnode's API")
    edgar_url: SecretStr | None = Field(None, description="Address of EDGAR's data host")
    edgar_archive_url: SecretStr | None = Field(
        None, description="Address of the host of EDGAR's documents, its /Archives included"
    )
    edgar_contact: str | None = Field(
        None, description="Your name and mail address, which the SEC demands of programs: 'Jane Doe jane@example.org'"
    )
    max_requests: int = Field(
        DEFAULT_MAX_REQUESTS, ge=0, le=MOST_MAX_REQUESTS, description="Most requests to hosted sources in one run"
    )
    web_time_scale: float = Field(
        1, gt=0, le=1, description="Shrinks pauses, time-outs and rate windows; for servers on loopback only"
    )
    labels_file: Path | None = Field(None, description="File that says who holds which address")
    simulated_seed: int = Field(7, ge=0, description="Seed of the simulated chain")
    keep_publications: int = Field(3, ge=1, le=1000, description="Versions of the publication that are kept")
    daily_cron: str = Field("30 2 * * *", description="When `serve` starts the daily run, in UTC")
    weekly_cron: str = Field("0 5 * * 1", description="When `serve` refreshes registry and filings, in UTC")
    late_after_hours: float = Field(
        6, gt=0, le=240, description="Hours of UTC after which a day that is not published is late"
    )
    alert_webhook_url: SecretStr | None = Field(None, description="Address that is sent alerts as JSON")
    alert_slack_url: SecretStr | None = Field(None, description="Incoming webhook of Slack that is sent alerts")
    alert_mail_url: SecretStr | None = Field(
        None,
        description="Mail server and addressee of alerts: mailtos://user:password@smtp.example.org?from=...&to=...",
    )

    @property
    def working_database(self) -> Path:
        """The writer's private database."""
        return self.home / "warehouse" / "working.duckdb"

    @property
    def miner_sets(self) -> Path:
        """Folder of what attribution carries from block to block."""
        return self.home / "warehouse" / "miner_set"

    @property
    def coinbase_shards(self) -> Path:
        """Folder of the coinbases of blocks that were not read whole."""
        return self.home / "warehouse" / "coinbases"

    @property
    def published(self) -> Path:
        """Folder of the publications."""
        return self.home / "published"

    @property
    def web(self) -> Path:
        """Folder of what requests to hosted sources share: their queues, and answers that may be asked for again."""
        return self.home / "web"

    @property
    def rebuilt(self) -> Path:
        """Folder of publications as they would have been at an earlier moment."""
        return self.home / "rebuilt"

    @property
    def told_alerts(self) -> Path:
        """What alerts were last compared with, so that none is told twice."""
        return self.home / "alerts.json"

    @property
    def lock_file(self) -> Path:
        """Held for the length of a run."""
        return self.home / "run.lock"

    @property
    def scheduler_home(self) -> Path:
        """Where the scheduler keeps its own state when it has no other place."""
        return self.home / "prefect"


class Profile(BaseModel):
    """Which sources are asked, and whose word counts for which group of series.

    `degrades`: a source that fails is told, and the run goes on with the others; otherwise it ends the run.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    title: str
    degrades: bool = False
    sources: tuple[str, ...] = Field(min_length=1)
    precedence: dict[Group, tuple[str, ...]]


def read_settings(**given: Any) -> Settings:
    """Settings from the environment with the options that were `given`, None meaning not given.

    Raises `SettingsError` naming the first setting that cannot be used.
    """
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        first = error.errors()[0]
        name = "HASHPIVOT_" + "_".join(str(part) for part in first["loc"]).upper()
        raise SettingsError(name, first["input"], first["msg"], "correct the variable or the option") from error


def export(settings: Settings) -> None:
    """Put what options have decided into the environment, where flows and the processes of runs read it."""
    os.environ["HASHPIVOT_HOME"] = str(settings.home.resolve())
    os.environ["HASHPIVOT_PROFILE"] = settings.profile
    if settings.files_dir is not None:
        os.environ["HASHPIVOT_FILES_DIR"] = str(settings.files_dir)
    os.environ["HASHPIVOT_MAX_REQUESTS"] = str(settings.max_requests)


def profile_names() -> list[str]:
    """Names of the built-in profiles."""
    return sorted(
        f.name.removesuffix(".toml") for f in files("flows").joinpath("profiles").iterdir() if f.name.endswith(".toml")
    )


def read_profile(name: str) -> Profile:
    """A built-in profile by name, or a user's own by the path of its TOML file.

    Raises `SettingsError` where there is none, or where it says something this version does not know.
    """
    known = profile_names()
    own = Path(name)
    if name in known:
        text = files("flows").joinpath("profiles", f"{name}.toml").read_text(encoding="utf-8")
    elif own.suffix == ".toml" and own.is_file():
        text = own.read_text(encoding="utf-8")
    else:
        raise SettingsError(
            "profile", name, f"one of {', '.join(known)} or a TOML file", "name another or write the file"
        )
    try:
        profile = Profile.model_validate({"name": own.stem, **tomllib.loads(text)})
    except (tomllib.TOMLDecodeError, ValidationError) as error:
        line = " ".join(str(error).split())[:200]
        raise SettingsError("profile", name, "a table of sources and precedence", f"correct it: {line}") from error
    for source in profile.sources:
        if source not in SOURCE_NAMES:
            raise SettingsError(f"profile {name}, sources", source, f"one of {', '.join(SOURCE_NAMES)}", "rename it")
    for group, sources in profile.precedence.items():
        for source in sources:
            if source not in SUPPLIERS:
                raise SettingsError(
                    f"profile {profile.name}, precedence.{group}",
                    source,
                    f"one of {', '.join(sorted(SUPPLIERS))}",
                    "rename it",
                )
    return profile
