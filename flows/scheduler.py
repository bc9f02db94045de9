"""What the scheduler must be told before it is imported, so that a run keeps to its own folder and starts quickly.

Run as a program (`python -m flows.scheduler`) it makes the empty scheduler database that new folders start from.
"""

import asyncio
import os
import shutil
import sys
from importlib.metadata import version
from ipaddress import ip_address
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

DATABASE_NAME: Final = "prefect.db"
SERVICES_OF_A_STANDING_SERVER: Final = (
    "CANCELLATION_CLEANUP",
    "DB_VACUUM",
    "FOREMAN",
    "LATE_RUNS",
    "PAUSE_EXPIRATIONS",
    "REPOSSESSOR",
    "SCHEDULER",
    "TRIGGERS",
)
"""Loops that watch schedules, workers and automations. A server that lives as long as one run has none of these."""


def prepare(home: Path) -> None:
    """Set the scheduler's environment for a run in this process; call it before anything imports Prefect.

    Whatever the user has set stays. With a server of their own (`PREFECT_API_URL`, or a Prefect profile) only the
    logging is added; otherwise Prefect starts a temporary server, which is kept small and inside `home`.
    """
    environment = os.environ
    environment.setdefault("PREFECT_LOGGING_EXTRA_LOGGERS", "flows,warehouse")
    if "PREFECT_API_URL" in environment or "PREFECT_PROFILE" in environment or "PREFECT_HOME" in environment:
        return
    if (Path.home() / ".prefect" / "profiles.toml").exists():
        return
    environment["PREFECT_HOME"] = str(home.resolve())
    environment.setdefault("DO_NOT_TRACK", "1")
    environment.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
    environment.setdefault("PREFECT_SERVER_UI_ENABLED", "false")
    # Prefect gives up after 20 s by default, which a slow disk needs for the migrations alone.
    environment.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "180")
    for service in SERVICES_OF_A_STANDING_SERVER:
        environment.setdefault(f"PREFECT_SERVER_SERVICES_{service}_ENABLED", "false")
    _seed_database(home)


def prepare_server(home: Path) -> None:
    """Set the environment of a server of our own that stays, and of its runs; call it before anything imports Prefect.

    Whatever the user has set stays: another database, a login, a name for proxies.
    """
    environment = os.environ
    environment.setdefault("PREFECT_HOME", str(home.resolve()))
    environment.setdefault("DO_NOT_TRACK", "1")
    environment.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
    environment.setdefault("PREFECT_LOGGING_EXTRA_LOGGERS", "flows,warehouse")
    # What is said between runs belongs to no run.
    environment.setdefault("PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW", "ignore")
    # How long a run in the queue sleeps before it asks again whether it may start.
    environment.setdefault("PREFECT_SERVER_DEPLOYMENTS_CONCURRENCY_SLOT_WAIT_SECONDS", "3")
    # Runs, their logs and artifacts older than 90 days go; without this the database grows for ever.
    environment.setdefault("PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED", "true")
    # A proxy for the world outside must not be asked for this machine, and Prefect's websockets would ask it.
    direct = [name for name in environment.get("NO_PROXY", "").split(",") if name]
    environment["NO_PROXY"] = ",".join(dict.fromkeys([*direct, "127.0.0.1", "localhost"]))
    if login := environment.get("PREFECT_SERVER_API_AUTH_STRING"):
        environment.setdefault("PREFECT_API_AUTH_STRING", login)
    if "PREFECT_API_DATABASE_CONNECTION_URL" not in environment:
        _seed_database(home)


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches `host`."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def template() -> Path:
    """Where the empty scheduler database of this Prefect release lies, if set-up has made one."""
    return Path(sys.prefix) / "share" / "hashpivot" / f"prefect-{version('prefect')}.db"


def make_template() -> Path:
    """Create the empty database once: its migrations take ten seconds that every new folder would spend again."""
    target = template()
    target.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=target.parent) as folder:
        os.environ["PREFECT_HOME"] = folder
        from prefect.server.database import provide_database_interface

        asyncio.run(provide_database_interface().create_db())
        (Path(folder) / DATABASE_NAME).replace(target)
    return target


def _seed_database(home: Path) -> None:
    """Start `home` from the template where there is one; without it Prefect migrates an empty database itself."""
    database = home / DATABASE_NAME
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    if database.exists() or not template().exists():
        return
    fresh = home / f".{DATABASE_NAME}.next"
    shutil.copyfile(template(), fresh)
    fresh.replace(database)


if __name__ == "__main__":
    make_template()
