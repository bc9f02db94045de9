"""What the scheduler must be told before it is imported, so that a run keeps to its own folder and starts quickly."""

import os
from pathlib import Path
from typing import Final

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
    # The first start in a folder also creates the scheduler's database, which on a slow disk takes longer than the 20 s
    # that Prefect waits by default.
    environment.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "180")
    for service in SERVICES_OF_A_STANDING_SERVER:
        environment.setdefault(f"PREFECT_SERVER_SERVICES_{service}_ENABLED", "false")
