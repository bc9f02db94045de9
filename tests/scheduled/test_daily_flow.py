"""The Prefect edge against real servers: retries by error class, run names, the temporary server and a standing one."""

import json
import os
import signal
import socket
import sqlite3
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.invocation import PYTHON, Hashpivot, clean_environment, eventually, last_final_day
from tests.object_storage import ObjectStorage, object_storage
from tests.postgres_server import postgres_server
from tests.scheduled.serving import response_of
from warehouse.private import open_to_others

REPOSITORY = Path(__file__).parents[2]
SERVER_START_SECONDS = 120


def fetch(address: str, path: str, body: dict[str, Any]) -> Any:
    request = urllib.request.Request(
        f"{address}{path}", data=json.dumps(body).encode(), headers={"Content-Type": "application/json"}
    )
    return response_of(request)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real server on a free port of this machine, with a database of its own; yields the address of its API."""
    from flows.scheduled.server import prepare

    home = tmp_path_factory.mktemp("server")
    before = dict(os.environ)
    for name in [name for name in os.environ if name.startswith("PREFECT_")]:
        del os.environ[name]
    os.environ["HOME"] = str(home)
    prepare(home / "prefect")  # starts from the ready-made database where set-up has made one
    os.environ.clear()
    os.environ.update(before)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [PYTHON, "-m", "prefect", "server", "start", "--port", str(port), "--no-ui"],
        env=clean_environment(HOME=str(home), PREFECT_HOME=str(home / "prefect")),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    address = f"http://127.0.0.1:{port}/api"
    deadline = time.monotonic() + SERVER_START_SECONDS
    while True:
        try:
            urllib.request.urlopen(f"{address}/health", timeout=2).close()
            break
        except OSError:
            assert process.poll() is None, process.stdout.read().decode()[-2000:] if process.stdout else ""
            assert time.monotonic() < deadline, "the server did not start"
            time.sleep(0.2)
    yield address
    process.terminate()
    process.wait(timeout=120)


def test_daily_runs_under_a_standing_server_and_is_named_by_profile_and_day(
    hashpivot: Hashpivot, server: str, tmp_path: Path
) -> None:
    done = hashpivot("daily", "--day", "2026-11-20", PREFECT_API_URL=server)
    assert done.returncode == 0, done.stderr
    assert "Bitcoin miners on 2026-11-20" in done.stdout
    runs = fetch(server, "/flow_runs/filter", {})
    assert [(run["name"], run["state_type"]) for run in runs] == [("daily 2026-11-20 demo", "COMPLETED")]
    assert runs[0]["parameters"]["day"] == "2026-11-20"
    assert None not in runs[0]["parameters"].values()
    tasks = fetch(server, "/task_runs/filter", {})
    assert {(task["name"].split("-")[0], task["state_type"]) for task in tasks} == {
        ("ingest simulated", "COMPLETED"),
        ("publish", "COMPLETED"),
    }
    assert (tmp_path / "data/published/hashpivot.duckdb").exists()
    assert not (tmp_path / "data/prefect").exists()


def test_failed_run_shows_as_failed_and_is_not_retried_when_retrying_cannot_help(
    hashpivot: Hashpivot, server: str
) -> None:
    done = hashpivot("daily", "--profile", "files", "--files-dir", "missing", PREFECT_API_URL=server)
    assert done.returncode == 3
    # The scheduler may report events that it still sends after our one line.
    assert sum(line.startswith("error: ") for line in done.stderr.splitlines()) == 1
    failed = [run for run in fetch(server, "/flow_runs/filter", {}) if run["name"].endswith(" files")]
    assert [run["state_type"] for run in failed] == ["FAILED"]
    assert f"error: {failed[0]['state']['message']}\n" in done.stderr
    tasks = fetch(server, "/task_runs/filter", {"flow_runs": {"id": {"any_": [failed[0]["id"]]}}})
    assert [(task["name"], task["run_count"]) for task in tasks] == [("ingest files", 1)]


def test_parameters_that_cannot_be_used_stop_before_anything_runs(server: str) -> None:
    code = (
        "from flows.scheduled.flows import daily\n"
        "try:\n    daily(day='yesterday')\n"
        "except Exception as error:\n    print(type(error).__name__, str(error).count('day'))\n"
    )
    environment = clean_environment(PREFECT_API_URL=server)
    done = subprocess.run(
        [PYTHON, "-c", code], env=environment, capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout.startswith("SettingsError")


def test_only_transient_errors_are_retried(server: str) -> None:
    code = (
        "from prefect import flow, task\n"
        "from flows.scheduled.tasks import only_transient\n"
        "from schemas.errors import TerminalError, TransientError\n"
        "calls = {'transient': 0, 'terminal': 0, 'foreign': 0}\n"
        "def attempt(kind, error):\n"
        "    calls[kind] += 1\n"
        "    if calls[kind] < 3:\n        raise error\n"
        "tried = task(retries=4, retry_delay_seconds=0, retry_condition_fn=only_transient)(attempt)\n"
        "@flow\n"
        "def outing():\n"
        "    tried('transient', TransientError('later'))\n"
        "    tried('terminal', TerminalError('never'), return_state=True)\n"
        "    tried('foreign', ValueError('a bug'), return_state=True)\n"
        "outing(return_state=True)\n"
        "print(calls)\n"
    )
    done = subprocess.run(
        [PYTHON, "-c", code],
        env=clean_environment(PREFECT_API_URL=server),
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert done.stdout.strip() == "{'transient': 3, 'terminal': 1, 'foreign': 1}"


def test_daily_brings_its_own_server_keeps_its_files_in_the_home_and_loses_no_word(
    hashpivot: Hashpivot, tmp_path: Path
) -> None:
    done = hashpivot("daily", "--day", "2026-11-20")
    assert done.returncode == 0, done.stderr
    assert "Bitcoin miners on 2026-11-20" in done.stdout
    assert "rror logging" not in done.stderr
    assert "View at" not in done.stderr
    assert {entry.name for entry in tmp_path.iterdir()} == {"data"}
    assert open_to_others(tmp_path / "data") == []
    with sqlite3.connect(tmp_path / "data/prefect/prefect.db") as database:
        runs = database.execute("select name, state_type from flow_run").fetchall()
        messages = [message for (message,) in database.execute("select message from log")]
        tasks = database.execute("select state_type, count(*) from task_run group by 1").fetchall()
        artifacts = database.execute("select count(*) from artifact").fetchall()
    assert runs == [("daily 2026-11-20 demo", "COMPLETED")]
    assert tasks == [("COMPLETED", 2)]
    assert any(line.startswith("Finished in state Completed") for line in messages)
    assert artifacts == [(0,)]


def is_temporary_server(process: Path) -> bool:
    try:
        return b"server_program" in (process / "cmdline").read_bytes()
    except OSError:
        return False


@pytest.mark.parametrize("signal_number", [signal.SIGKILL, signal.SIGINT])
def test_own_server_ends_with_the_run_however_that_ends(signal_number: int, tmp_path: Path) -> None:
    command = [PYTHON, "-m", "flows.command.cli", "daily", "--day", "2026-11-20"]
    run = subprocess.Popen(
        command, cwd=tmp_path, env=clean_environment(HOME=str(tmp_path)), stderr=subprocess.PIPE, text=True
    )
    assert run.stderr is not None
    while "Beginning flow run" not in run.stderr.readline():
        assert run.poll() is None
    children = Path(f"/proc/{run.pid}/task/{run.pid}/children").read_text().split()
    (server,) = [Path("/proc", pid) for pid in children if is_temporary_server(Path("/proc", pid))]
    environment = dict(line.split("=", 1) for line in (server / "environ").read_text().split("\0") if line)
    address = f"{environment['PREFECT_SERVER_CORS_ALLOWED_ORIGINS']}/api"
    with pytest.raises(urllib.error.HTTPError, match="401"):
        fetch(address, "/deployments/filter", {})
    secret = environment["PREFECT_SERVER_API_AUTH_STRING"]
    assert (
        secret.encode()
        not in (server / "cmdline").read_bytes() + (Path("/proc", str(run.pid)) / "cmdline").read_bytes()
    )
    run.send_signal(signal_number)
    assert run.wait(120) == (-signal_number if signal_number == signal.SIGKILL else 128 + signal_number)
    if signal_number == signal.SIGINT:
        assert run.stderr.read() == "interrupted: nothing is half-written; run again to go on\n"
    eventually(lambda: not is_temporary_server(server), "the end of the server")


def test_missed_days_are_published_in_order_and_no_more_than_a_week_of_them(published_demo: Path) -> None:
    code = (
        "from flows.scheduled.parameters import DailyParameters\n"
        "print([str(run.through) for run in DailyParameters(catch_up=True).runs()])\n"
        "print([str(run.through) for run in DailyParameters(catch_up=True, day='2026-11-20').runs()])\n"
        "print(len(list(DailyParameters().runs())))\n"
    )
    done = subprocess.run(
        [PYTHON, "-c", code],
        env=clean_environment(HASHPIVOT_HOME=str(published_demo.parent), HASHPIVOT_PROFILE="demo"),
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    missed, body, plain = done.stdout.splitlines()
    last = last_final_day()
    assert missed == str([str(last - timedelta(days=n)) for n in range(6, -1, -1)])
    assert (body, plain) == ("['2026-11-20']", "1")


class LoginRequired(BaseHTTPRequestHandler):
    """Responds as Prefect's server does with a login and otherwise as it comes: to any name, for pages of anybody."""

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/api/health" else 401)
        self.send_header("Access-Control-Allow-Origin", "*")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def requiring_a_login() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), LoginRequired) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/api"
        server.shutdown()


def test_doctor_reports_a_server_that_others_or_their_pages_reach(
    hashpivot: Hashpivot, server: str, tmp_path: Path
) -> None:
    def scheduler(**environment: str) -> tuple[str, str, str]:
        rows = json.loads(hashpivot("doctor", "--json", **environment).stdout)
        (row,) = [row for row in rows if row["what"] == "scheduler"]
        return row["state"], row["found"], row["what to do"]

    # The second leads here, but does not look like it: as good as the name of another machine.
    for address in (server, server.replace("127.0.0.1", "2130706433")):
        state, found, do = scheduler(PREFECT_API_URL=address)
        assert (state, "without a login" in found, "hashpivot serve" in do) == ("PROBLEM", True, True)
    with requiring_a_login() as address:
        state, found, do = scheduler(PREFECT_API_URL=address)
    assert (state, "pages of others" in found, "ALLOWED_ORIGINS" in do) == ("PROBLEM", True, True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        state, found, do = scheduler(PREFECT_API_URL=f"http://127.0.0.1:{probe.getsockname()[1]}/api")
    assert (state, "does not respond" in found, "start it" in do) == ("PROBLEM", True, True)
    state, found, _ = scheduler(PREFECT_SERVER_API_HOST="0.0.0.0")
    assert (state, "without a login" in found) == ("PROBLEM", True)
    assert scheduler()[0] == "ok"


def test_target_that_fails_is_a_failed_task_an_alert_and_part_of_the_state(hashpivot: Hashpivot, server: str) -> None:
    with object_storage() as storage:
        address, missing = f"{storage.make_bucket('scheduled')}/tables", "s3://not-there"
        settings = storage.environment() | {"PREFECT_API_URL": server, "HASHPIVOT_TARGETS": f"{missing},{address}"}

        def finished() -> tuple[dict[str, Any], dict[str, tuple[str, int]]]:
            done = hashpivot("daily", "--day", "2026-11-19", **settings)
            assert done.returncode == 0, done.stderr
            (run, *_) = fetch(server, "/flow_runs/filter", {"sort": "START_TIME_DESC"})
            tasks = fetch(server, "/task_runs/filter", {"flow_runs": {"id": {"any_": [run["id"]]}}})
            return run, {task["name"]: (task["state_type"], task["run_count"]) for task in tasks}

        def events() -> list[tuple[str, str]]:
            found = fetch(server, "/events/filter", {"filter": {"event": {"prefix": ["hashpivot.target."]}}})["events"]
            return sorted((event["event"], event["payload"]["text"]) for event in found)

        run, tasks = finished()
        assert tasks[f"publish to {address}"] == ("COMPLETED", 1)
        assert tasks[f"publish to {missing}"] == ("FAILED", 1), "a bucket that there is not is no reason to try again"
        assert run["state_type"] == "COMPLETED"
        assert f"; target {missing}: found no bucket 'not-there', expected one; create it" in run["state"]["message"]
        assert "latest.json" in storage.paths(f"{address}")
        eventually(events, "no alert")
        ((event, text),) = events()
        assert event == "hashpivot.target.failed"
        assert text.startswith(f"target {missing}: found no bucket")

        storage.make_bucket("not-there")
        run, tasks = finished()
        assert tasks[f"publish to {missing}"] == ("COMPLETED", 1)
        assert "target" not in run["state"]["message"]
        eventually(lambda: len(events()) == 2, "no recovery")
        assert [event for event, _ in events()] == ["hashpivot.target.failed", "hashpivot.target.recovered"]
        assert latest_of(storage, missing) == latest_of(storage, address)


def test_target_in_postgresql_gets_its_version_from_a_task(hashpivot: Hashpivot, server: str) -> None:
    with postgres_server() as postgres:
        settings = postgres.environment() | {"PREFECT_API_URL": server, "HASHPIVOT_TARGETS": postgres.address()}
        done = hashpivot("daily", "--day", "2026-11-20", **settings)
        assert done.returncode == 0, done.stderr
        (run, *_) = fetch(server, "/flow_runs/filter", {"sort": "START_TIME_DESC"})
        tasks = fetch(server, "/task_runs/filter", {"flow_runs": {"id": {"any_": [run["id"]]}}})
        assert {task["state_type"] for task in tasks if postgres.address() in task["name"]} == {"COMPLETED"}
        assert postgres.query("select day::text from hashpivot_meta.publication") == [("2026-11-20",)]


def latest_of(storage: ObjectStorage, address: str) -> str:
    return str(json.loads(storage.read(address, "latest.json"))["version"])


@pytest.mark.long
def test_worker_of_a_pool_runs_what_prefect_yaml_deploys(server: str, tmp_path: Path) -> None:
    environment = clean_environment(
        HOME=str(tmp_path), PREFECT_API_URL=server, HASHPIVOT_HOME=str(tmp_path / "data"), HASHPIVOT_PROFILE="demo"
    )

    def prefect(*arguments: str, folder: Path) -> str:
        command = [PYTHON, "-P", "-m", "prefect", "--no-prompt", *arguments]
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=180, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    fetch(server, "/work_pools/", {"name": "hashpivot", "type": "process"})
    prefect("deploy", "--name", "daily", folder=REPOSITORY)
    (deployment,) = fetch(server, "/deployments/filter", {})
    body = {"parameters": {"day": "2026-11-20"}, "state": {"type": "SCHEDULED"}}
    fetch(server, f"/deployments/{deployment['id']}/create_flow_run", body)
    prefect("worker", "start", "--pool", "hashpivot", "--run-once", folder=tmp_path)
    runs = fetch(server, "/flow_runs/filter", {"work_pools": {"name": {"any_": ["hashpivot"]}}})
    assert {run["name"]: run["state_type"] for run in runs if not run["auto_scheduled"]} == {
        "daily 2026-11-20 demo": "COMPLETED"
    }
    manifest = json.loads((tmp_path / "data/published/manifest.json").read_text(encoding="utf-8"))
    assert (manifest["day"], manifest["profile"]) == ("2026-11-20", "demo")
