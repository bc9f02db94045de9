"""`hashpivot serve` as a process of its own, and its server as a client sees it."""

import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.invocation import COMMAND, clean_environment, eventually, longer_waits

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

START_SECONDS = 150
END_SECONDS = 600
"""After which a run counts as one that never ends, whatever else the machine does."""
LOCK_SECONDS = 150
"""Longer than a request waits for the lock of the server's database (60 s), after which its response is a 503."""
MANY_SHARDS = 300
"""Parts of a backfill that is still at work when something happens to it."""
SCREENSHOTS = Path(__file__).parents[2] / "build" / "screenshots"
CHROMIUM = next((found for name in ("chromium", "chromium-browser") if (found := shutil.which(name))), None)
REBOUND = "rebound.example"
"""A name that leads browsers of these tests to this machine."""
OVER = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def response_of(request: urllib.request.Request) -> Any:
    """What a server of Prefect responds, decoded; the request is repeated while its database is locked."""
    deadline = time.monotonic() + END_SECONDS
    while True:
        try:
            with urllib.request.urlopen(request, timeout=LOCK_SECONDS) as response:
                return json.loads(response.read() or b"null")
        except urllib.error.HTTPError as error:
            # SQLite takes one writer at a time; the other gets a 503, and every client repeats the request.
            if error.code != 503 or time.monotonic() > deadline:
                raise
            time.sleep(0.5)


@dataclass
class Serving:
    """One home, one port, and whatever process serves them now."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None
    given_login: str | None = None
    """Set by the environment; otherwise the server has the one that is kept in the home."""

    @property
    def login(self) -> str:
        return self.given_login or (self.home / "prefect/login").read_text(encoding="utf-8").strip()

    @property
    def client(self) -> dict[str, str]:
        """What a program needs to reach the server."""
        return {"PREFECT_API_URL": f"{self.address}/api", "PREFECT_API_AUTH_STRING": self.login}

    @property
    def home(self) -> Path:
        return self.folder / "data"

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def output(self) -> str:
        return (self.folder / "output.txt").read_text(encoding="utf-8")

    def start(self, **environment: str) -> None:
        """Return once it serves."""
        before = self.launch(**environment)
        assert self.process is not None
        deadline = time.monotonic() + START_SECONDS
        while "serving daily" not in self.output[before:]:
            assert self.process.poll() is None, self.output[-3000:]
            assert time.monotonic() < deadline, f"did not start: {self.output[-3000:]}"
            time.sleep(0.1)

    def launch(self, **environment: str) -> int:
        """Begin to start it; returns where in `output` its words begin."""
        before = len(self.output) if (self.folder / "output.txt").exists() else 0
        with (self.folder / "output.txt").open("ab") as output:
            self.process = subprocess.Popen(
                [COMMAND, "serve", "--port", str(self.port), "--home", str(self.home)],
                cwd=self.folder,
                env=clean_environment(HOME=str(self.folder)) | self.environment | environment,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        return before

    def stop(self, timeout: float = 120) -> int:
        """SIGTERM, as systemd sends it; returns the exit code."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(timeout)

    def kill(self) -> None:
        """The machine loses its power: this process, its server and its runs, all at once."""
        assert self.process is not None
        for pid in self.family():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.process.wait(120)

    def family(self) -> list[int]:
        """This process and everything that came of it, the server of its own session included."""
        assert self.process is not None
        found = [self.process.pid]
        for pid in found:
            found += [child for child in children(pid) if child not in found]
        return found

    def run_processes(self) -> list[int]:
        """Processes of runs: grandchildren by way of the one that forks them."""
        return [grandchild for child in self.forkers() for grandchild in children(child)]

    def forkers(self) -> list[int]:
        assert self.process is not None
        return [pid for pid in children(self.process.pid) if "forkserver" in command_of(pid)]

    def server_process(self) -> int:
        assert self.process is not None
        (pid,) = [pid for pid in children(self.process.pid) if "server_program" in command_of(pid)]
        return pid

    def fetch(self, path: str, body: Any = None, method: str | None = None) -> Any:
        request = urllib.request.Request(
            f"{self.address}/api{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
            method=method,
        )
        request.add_header("Authorization", f"Basic {b64encode(self.login.encode()).decode()}")
        return response_of(request)

    def deployment(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.fetch(f"/deployments/name/{name}/{name}")
        return found

    def click(self, name: str, **parameters: Any) -> str:
        """What the Run button does; returns the identifier of the run."""
        body = {"state": {"type": "SCHEDULED"}, "parameters": parameters}
        return str(self.fetch(f"/deployments/{self.deployment(name)['id']}/create_flow_run", body)["id"])

    def refusal(self, name: str, **parameters: Any) -> str:
        """What the server says to parameters that it refuses."""
        try:
            self.click(name, **parameters)
        except urllib.error.HTTPError as error:
            return error.read().decode()
        raise AssertionError(f"{name} took {parameters}")

    def run(self, run_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.fetch(f"/flow_runs/{run_id}")
        return found

    def wait(self, run_id: str, names: Sequence[str] = OVER, timeout: float = END_SECONDS) -> dict[str, Any]:
        """The state of the run once its type or name is one of `names`."""
        deadline, waits = time.monotonic() + timeout, longer_waits()
        while True:
            try:
                state: dict[str, Any] = self.run(run_id)["state"]
                if state["type"] in names or state["name"] in names:
                    return state
            except OSError:
                state = {"name": "no response"}
            assert time.monotonic() < deadline, f"{state} {self.logs(run_id)[-5:]}"
            next(waits)

    def finish(self, name: str, **parameters: Any) -> str:
        """Run to the end, which must be a good one."""
        run_id = self.click(name, **parameters)
        state = self.wait(run_id)
        assert state["type"] == "COMPLETED", (state, self.logs(run_id))
        return run_id

    def logs(self, run_id: str) -> list[str]:
        found = self.fetch("/logs/filter", {"logs": {"flow_run_id": {"any_": [run_id]}}, "sort": "TIMESTAMP_ASC"})
        return [line["message"] for line in found]

    def artifacts(self, run_id: str) -> dict[str, dict[str, Any]]:
        found = self.fetch("/artifacts/filter", {"artifacts": {"flow_run_id": {"any_": [run_id]}}})
        return {artifact["key"]: artifact for artifact in found if artifact["key"]}

    def published(self, sql: str) -> list[tuple[Any, ...]]:
        """Rows of the current publication, as any reader gets them."""
        import duckdb

        with duckdb.connect(str(self.home / "published/hashpivot.duckdb"), read_only=True) as reader:
            return reader.execute(sql).fetchall()


@contextmanager
def browser_page(served: Serving | None = None) -> Iterator["Page"]:
    """A page of a real browser, signed in where something is `served`, which leaves its pictures in `SCREENSHOTS`."""
    import pytest  # the benchmark uses this module where there is none

    if CHROMIUM is None:
        pytest.skip("no Chromium here; `apt-get install chromium`")
    from playwright.sync_api import expect, sync_playwright

    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", f"--host-resolver-rules=MAP {REBOUND} 127.0.0.1"]
        )
        page = browser.new_page(viewport={"width": 1300, "height": 1200})
        page.set_default_timeout(30_000)
        expect.set_options(timeout=30_000)
        if served is not None:
            sign_in(page, served)
        yield page
        browser.close()


def sign_in(page: "Page", served: Serving) -> None:
    """What a person does first: open the page and enter the login in whole."""
    from playwright.sync_api import expect

    page.goto(served.address)
    page.get_by_placeholder("admin:pass").fill(served.login)
    page.get_by_role("button", name="Login").click()
    expect(page.get_by_role("link", name="Deployments")).to_be_visible()


def pick(opener: "Locator", item: "Locator") -> None:
    """Open a menu and choose from it, again where the page drew itself anew meanwhile and closed it."""
    from playwright.sync_api import TimeoutError as NotThereError

    for _ in range(3):
        opener.click()
        try:
            item.click(timeout=10_000)
            return
        except NotThereError:
            opener.page.keyboard.press("Escape")
    opener.click()
    item.click()


def submit(page: "Page") -> str:
    """Submit the form, again where the page drew itself anew and lost the click; returns the id of the run.

    A server whose database is locked responds with a 503, after which the page makes the same request again.
    """
    from playwright.sync_api import TimeoutError as NotThereError

    def created(patience_milliseconds: float) -> str:
        with page.expect_response(
            lambda response: response.url.endswith("/create_flow_run") and response.ok, timeout=patience_milliseconds
        ) as response:
            page.get_by_role("button", name="Submit").click(timeout=patience_milliseconds)
        return str(response.value.json()["id"])

    for _ in range(2):
        try:
            return created(20_000)
        except NotThereError:
            continue
    return created(60_000)


def children(pid: int) -> list[int]:
    found: list[int] = []
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += [int(child) for child in (task / "children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        pass
    return found


def command_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def backfill_at_work(served: Serving, shards: int = MANY_SHARDS) -> str:
    """A backfill that has begun and has long to go."""
    run_id = served.click("backfill", profile="demo", since="2025-01-01", shards=shards)
    served.wait(run_id, ["Running"])
    eventually(lambda: "hashpivot-progress" in served.artifacts(run_id), "its first part")
    return run_id


def published_version(served: Serving) -> str:
    """Of the current publication, once every file of it has proved to be whole."""
    folder = served.home / "published"
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    for file in manifest["files"]:
        digest = hashlib.sha256((folder / "current" / file["path"]).read_bytes()).hexdigest()
        assert digest == file["sha256"], file["path"]
    assert served.published("select count(*) > 0 from capitulation_daily") == [(True,)]
    return str(manifest["version"])
