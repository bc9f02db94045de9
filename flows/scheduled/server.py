"""Settings that the scheduler needs before it is imported, so that a run keeps to its own folder and starts quickly.

Nothing here imports Prefect: its settings are read at its import, and a server is found or started before.

Run as a program (`python -m flows.scheduled.server`) it makes the empty scheduler database that new folders start from.
"""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from base64 import b64encode
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final
from urllib.parse import urlsplit

from flows.scheduled import login
from flows.scheduled.own_server import LOGIN_NAME, LOOPBACK
from schemas.errors import SettingsError, TransientError
from warehouse.atomic_files import whole_file, write_whole

START_SECONDS: Final = 180.0
ADDRESS_NAME: Final = "address"
"""File in the scheduler's folder with the address of the server that `hashpivot serve` keeps there."""
HEALTH: Final = "/health"
FOREIGN_ORIGIN: Final = "http://another.invalid"
OK: Final = 200
REJECTED: Final = (401, 403)
SERVER_ERROR: Final = 500
LARGEST_RESPONSE_BYTES: Final = 8 * 1024**2
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


class ServerUnreachableError(TransientError):
    """The scheduler's server does not respond."""


def prepare(home: Path) -> bool:
    """Set the scheduler's environment for a run in this process; call it before anything imports Prefect.

    Whatever the user has set stays. With a server of their own (`PREFECT_API_URL`, or a Prefect profile) only the
    logging is added, and a server that `hashpivot serve` keeps for this home is joined. Returns whether there is none,
    so that the run needs a temporary one, which is kept small and inside `home`.
    """
    environment = os.environ
    environment.setdefault("PREFECT_LOGGING_EXTRA_LOGGERS", "flows,warehouse")
    _bypass_proxy_on_loopback()
    address = kept_address(home)
    if address and environment.get("PREFECT_API_URL") == address:
        _use_kept_login(home)
    if "PREFECT_API_URL" in environment or "PREFECT_PROFILE" in environment or "PREFECT_HOME" in environment:
        return False
    if (Path.home() / ".prefect" / "profiles.toml").exists():
        return False
    environment["PREFECT_HOME"] = str(home.resolve())
    environment.setdefault("DO_NOT_TRACK", "1")
    environment.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
    if address:
        _use_kept_login(home)
        if _accepts_us(address):
            environment["PREFECT_API_URL"] = address
            return False
    environment.setdefault("PREFECT_SERVER_UI_ENABLED", "false")
    for service in SERVICES_OF_A_STANDING_SERVER:
        environment.setdefault(f"PREFECT_SERVER_SERVICES_{service}_ENABLED", "false")
    _seed_database(home)
    return True


def prepare_server(home: Path) -> None:
    """Set the environment of a server of our own that stays, and of its runs; call it before anything imports Prefect.

    Whatever the user has set stays: another database, a login, a name for proxies.
    """
    home.mkdir(parents=True, exist_ok=True)
    environment = os.environ
    environment.setdefault("PREFECT_HOME", str(home.resolve()))
    environment.setdefault("DO_NOT_TRACK", "1")
    environment.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
    environment.setdefault("PREFECT_LOGGING_EXTRA_LOGGERS", "flows,warehouse")
    # Lines that are logged between runs belong to no run.
    environment.setdefault("PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW", "ignore")
    # Seconds after which a queued run requests its slot again.
    environment.setdefault("PREFECT_SERVER_DEPLOYMENTS_CONCURRENCY_SLOT_WAIT_SECONDS", "3")
    # Runs, their logs and artifacts older than 90 days go; without this the database grows for ever.
    environment.setdefault("PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED", "true")
    _bypass_proxy_on_loopback()
    if given := environment.get(LOGIN_NAME):
        environment.setdefault("PREFECT_API_AUTH_STRING", given)
    if "PREFECT_API_DATABASE_CONNECTION_URL" not in environment:
        _seed_database(home)


def is_up(address: str) -> bool:
    """Whether the server at `address` responds. Raises `SettingsError` where it rejects our login."""
    headers = _login_headers()
    status = _status(address, headers)
    if status in REJECTED:
        raise SettingsError(
            "PREFECT_API_AUTH_STRING",
            "a login it rejects" if headers else "no login",
            f"the login of {address}",
            "correct it",
        )
    return status is not None and status < SERVER_ERROR


def _login_headers(kept_login: str | None = None) -> dict[str, str]:
    if ours := os.environ.get("PREFECT_API_AUTH_STRING") or kept_login:
        return {"Authorization": f"Basic {b64encode(ours.encode()).decode()}"}
    if key := os.environ.get("PREFECT_API_KEY"):
        return {"Authorization": f"Bearer {key}"}
    return {}


def responded(home: Path, path: str, body: Any) -> Any:
    """What the server that runs in `home` would join responds to `body` under `path`.

    None where there is no such server, or where it does not respond, with more than `LARGEST_RESPONSE_BYTES`, or
    rejects our login.
    """
    kept = kept_address(home)
    if (address := os.environ.get("PREFECT_API_URL") or kept) is None:
        return None
    headers = {
        "Content-Type": "application/json",
        **_login_headers(login.kept_login(home) if address == kept else None),
    }
    request = urllib.request.Request(f"{address}{path}", json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=5) as response:
            return json.loads(response.read(LARGEST_RESPONSE_BYTES))
    except (OSError, ValueError):
        return None


def is_open(address: str) -> bool | None:
    """Whether the server at `address` responds without a login; None where it does not respond at all."""
    status = _status(address, {})
    return None if status is None or status >= SERVER_ERROR else status not in REJECTED


def admits_pages_of_others(address: str) -> bool:
    """Whether the server at `address` lets pages of another origin read it, or responds to a name that is not its own.

    A name is checked only where no certificate does that.
    """
    _, allowed = _response(address, {"Origin": FOREIGN_ORIGIN}, HEALTH)
    if allowed in ("*", FOREIGN_ORIGIN):
        return True
    if not address.startswith("http://"):
        return False
    status, _ = _response(address, {"Host": urlsplit(FOREIGN_ORIGIN).netloc}, HEALTH)
    return status == OK


def _status(address: str, headers: dict[str, str]) -> int | None:
    # Not /health, which needs no login on any server.
    return _response(address, headers, "/admin/version")[0]


def _response(address: str, headers: dict[str, str], path: str) -> tuple[int | None, str | None]:
    """Status, None where there is no response, and the origins whose pages may read it."""
    request = urllib.request.Request(f"{address}{path}", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=5) as response:
            return int(response.status), response.headers["Access-Control-Allow-Origin"]
    except urllib.error.HTTPError as error:
        return error.code, error.headers["Access-Control-Allow-Origin"]
    except (OSError, ValueError):
        return None, None


def wait_for(address: str, process: subprocess.Popen[bytes] | None = None) -> None:
    """Return once the server responds. Raises `ServerUnreachableError` when it does not, or its process ends."""
    deadline = time.monotonic() + START_SECONDS
    while not is_up(address):
        if process is not None and process.poll() is not None:
            raise ServerUnreachableError(
                f"scheduler: found its server ended with {process.returncode}, expected it to start; "
                "see its output above, or start one by hand and set PREFECT_API_URL"
            )
        if time.monotonic() > deadline:
            raise ServerUnreachableError(
                f"scheduler: found no response from {address}, expected a server; start it, or unset PREFECT_API_URL"
            )
        time.sleep(0.1)


def write_address(home: Path, address: str) -> Path:
    """Write the address of the server for other commands of this home; return the file, which ends with the server."""
    note = home / ADDRESS_NAME
    write_whole(note, f"{address}\n{os.getpid()}\n".encode())
    return note


def kept_address(home: Path) -> str | None:
    """Address of the server that `hashpivot serve` keeps for this home now, if it does."""
    try:
        address, pid = (home / ADDRESS_NAME).read_text(encoding="utf-8").split()
        # The file outlives a loss of power, and its port may by then belong to another process.
        os.kill(int(pid), 0)
        return address
    except (OSError, ValueError):
        return None


def _accepts_us(address: str) -> bool:
    try:
        return is_up(address)
    except SettingsError:
        return False


def _use_kept_login(home: Path) -> None:
    kept = login.kept_login(home)
    if kept and "PREFECT_API_AUTH_STRING" not in os.environ:
        login.use(kept)


def _bypass_proxy_on_loopback() -> None:
    """Without this, Prefect's websockets would send requests for this machine to a proxy of the network."""
    for name in ("NO_PROXY", "no_proxy"):
        direct = [host for host in os.environ.get(name, "").split(",") if host]
        if direct or name == "NO_PROXY":
            os.environ[name] = ",".join(dict.fromkeys([*direct, LOOPBACK, "localhost"]))


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
    with whole_file(database, shared=True) as draft:
        shutil.copyfile(template(), draft)


if __name__ == "__main__":
    make_template()
