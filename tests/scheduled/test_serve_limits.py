"""What ends a run before its end: limits of time, a person in a browser, errors that pass and errors that stay.

The tests of this file share one home, one scheduler and one node on loopback, and go on where the one before has ended.
"""

import json
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from flows.reports.alerts import AlertEvent
from flows.scheduled.alert_delivery import NO_RECEIVER
from flows.scheduled.deployments import served as deployed
from flows.scheduled.tasks import LOCK_TIMEOUT_SECONDS, PUBLISH_TIMEOUT_SECONDS
from flows.settings import Settings
from tests.invocation import PYTHON, clean_environment, eventually
from tests.node.replay_node import Fault, ReplayNode, recorded
from tests.replay.sites.coinmetrics import ONLY_COINMETRICS
from tests.scheduled.serving import (
    SCREENSHOTS,
    Serving,
    backfill_at_work,
    browser_page,
    published_version,
)
from warehouse.journal import one_run_at_a_time

BLOCKS, SINCE = 580, "2026-01-03"
PROGRAM = Path(__file__).with_name("limited.py")
USER, PASSWORD = "miner", "correct horse battery staple"
SLACK_SECONDS = 60
"""What a machine with much else to do may take on top, far below the minutes that an open end would take."""
START_SLACK_SECONDS = 60
"""The same for a process, whose imports alone take long on such a machine."""
OUR_THREADS = ("node", "shard", "ThreadPoolExecutor", "timeout-watcher")


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReplayNode]:
    node = ReplayNode(
        tmp_path_factory.mktemp("node") / "cookie", user=USER, password=PASSWORD, chain=recorded()[:BLOCKS]
    )
    node.start()
    yield node
    node.stop()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, node: ReplayNode) -> Iterator[Serving]:
    environment = {
        "HASHPIVOT_NODE_URL": node.url,
        "HASHPIVOT_NODE_USER": USER,
        "HASHPIVOT_NODE_PASSWORD": PASSWORD,
        "HASHPIVOT_NODE_CHAIN": "regtest",
        "HASHPIVOT_NODE_SHARD_BLOCKS": "100",
    }
    serving = Serving(tmp_path_factory.mktemp("serve"), environment=environment)
    serving.start()
    serving.finish("daily", profile="demo", day="2026-01-16", since="2026-01-01")
    yield serving
    if serving.process is not None and serving.process.poll() is None:
        serving.kill()


@pytest.fixture
def silent() -> Iterator[str]:
    """Address of somebody who takes every connection and never says a word."""
    held: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            while True:
                try:
                    held.append(listener.accept()[0])
                except OSError:
                    return

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
    for each in held:
        each.close()


@dataclass(frozen=True)
class Ended:
    """How a limited run ended: by its own word, by the clock, and by that of the scheduler."""

    name: str
    type: str
    message: str
    seconds: float
    threads: list[str]
    process_seconds: float
    tasks: dict[str, tuple[str, int]]
    """State and count of tries, by name."""


def limited(served: Serving, limits: dict[str, float], environment: dict[str, str], **parameters: Any) -> Ended:
    """A run with `limits` in the home that is served, requested at its scheduler."""
    ours = {
        "HOME": str(served.folder),
        "HASHPIVOT_HOME": str(served.home),
        **served.client,
        "PREFECT_HOME": str(served.folder / "client"),
        "NO_PROXY": "127.0.0.1",
    }
    parameters["switch_profile"] = True  # the home holds what the demo has published
    before = {run["id"] for run in served.fetch("/flow_runs/filter", {})}
    began = time.monotonic()
    done = subprocess.run(
        [PYTHON, PROGRAM, json.dumps([limits, parameters])],
        env=clean_environment() | served.environment | ours | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    process_seconds = time.monotonic() - began
    (run,) = [run for run in served.fetch("/flow_runs/filter", {}) if run["id"] not in before]
    ended = json.loads(done.stdout.splitlines()[-1])
    assert (run["state"]["type"], run["state"]["name"]) == (ended["type"], ended["name"])
    return Ended(**ended, process_seconds=process_seconds, tasks=tasks(served, run["id"]))


def tasks(served: Serving, run_id: str) -> dict[str, tuple[str, int]]:
    """By name, the state of each task and how often it ran; one that was created just now has no state yet."""
    found = served.fetch("/task_runs/filter", {"flow_runs": {"id": {"any_": [run_id]}}})
    return {task["name"]: (task["state"]["name"], task["run_count"]) for task in found if task["state"]}


def check_nothing_is_left(served: Serving, ended: Ended) -> None:
    assert not [name for name in ended.threads if name.startswith(OUR_THREADS)]
    with one_run_at_a_time(served.home / "run.lock"):
        pass


def automations(served: Serving) -> dict[str, dict[str, Any]]:
    return {automation["name"]: automation for automation in served.fetch("/automations/filter", {})}


def test_alerts_without_a_receiver_are_listed_as_such_until_there_is_one(served: Serving) -> None:
    listed = automations(served)
    assert list(listed) == [NO_RECEIVER]
    assert listed[NO_RECEIVER]["actions"] == [{"type": "do-nothing"}]
    assert [event for event in AlertEvent if event.words not in listed[NO_RECEIVER]["description"]] == []
    (run,) = served.fetch("/flow_runs/filter", {"flow_runs": {"state": {"type": {"any_": ["COMPLETED"]}}}})
    brief = served.artifacts(run["id"])["hashpivot-brief"]["data"]
    assert "## Alerts\n\nNone in this run.\n\n**No receiver yet** for any of these: capitulation entered, " in brief
    apply = "from flows.scheduled.alert_delivery import *; from flows.settings import *; apply_automations(Settings())"

    def applied(**settings: str) -> list[str]:
        environment = clean_environment() | served.client | {"HOME": str(served.folder), "NO_PROXY": "127.0.0.1"}
        subprocess.run([PYTHON, "-c", apply], env=environment | settings, check=True, timeout=120)
        return list(automations(served))

    assert applied(HASHPIVOT_ALERT_WEBHOOK_URL="http://127.0.0.1:9/") == ["hashpivot alerts by webhook"]
    assert applied() == [NO_RECEIVER]


def test_every_limit_leaves_room_for_the_wait_for_the_run_before() -> None:
    for deployment in deployed(Settings()):
        limit_seconds = deployment.flow.timeout_seconds
        assert limit_seconds is not None
        assert limit_seconds >= LOCK_TIMEOUT_SECONDS + PUBLISH_TIMEOUT_SECONDS, deployment.name


def test_limit_of_a_run_ends_it_in_the_middle_of_a_call(served: Serving, silent: str) -> None:
    before = published_version(served)
    ended = limited(served, {"daily": 2}, {"HASHPIVOT_NODE_URL": silent}, profile="node-only")
    assert (ended.name, ended.type) == ("TimedOut", "FAILED")
    assert ended.message == "Flow run exceeded timeout of 2.0 second(s)"
    assert ended.tasks == {"plan node": ("TimedOut", 1)}
    assert 2 <= ended.seconds < 2 + SLACK_SECONDS
    assert ended.process_seconds < ended.seconds + START_SLACK_SECONDS
    check_nothing_is_left(served, ended)
    assert published_version(served) == before


def test_limit_of_a_task_holds_as_soon_as_the_client_lets_go_of_one_response(served: Serving, silent: str) -> None:
    before = published_version(served)
    profile = served.folder / "web.toml"
    profile.write_text(ONLY_COINMETRICS, encoding="utf-8")
    # The client waits 30 s for a response, here 0.9 s; four of them would take longer than the task may.
    response_seconds = 0.9
    short_waits = {"HASHPIVOT_COINMETRICS_URL": f"{silent}/v4", "HASHPIVOT_WEB_TIME_SCALE": str(response_seconds / 30)}
    ended = limited(served, {"ingest": 2}, short_waits, profile_file=str(profile))
    assert (ended.name, ended.type) == ("TimedOut", "FAILED")
    assert "TaskRunTimeoutError" in ended.message
    assert ended.tasks == {"ingest coinmetrics": ("TimedOut", 1)}
    assert 2 <= ended.seconds < 2 + response_seconds + SLACK_SECONDS
    check_nothing_is_left(served, ended)
    assert published_version(served) == before


@pytest.mark.parametrize("limits", [{"daily": 4}, {"read_shard": 2}], ids=["run", "task"])
def test_readers_in_other_threads_end_with_their_run(
    served: Serving, node: ReplayNode, limits: dict[str, float]
) -> None:
    before = published_version(served)
    response_seconds = 1
    node.faults = [Fault("slow", "getblock", times=1_000, seconds=response_seconds)]
    node.seen.clear()
    ended = limited(served, limits, {}, profile="node-only", since=SINCE)
    requests_count = node.seen["getblock"]
    assert (ended.name, ended.type) == ("TimedOut", "FAILED")
    states = {state for state, _ in ended.tasks.values()}
    # The limit of the run may find a task in the scheduler's own code, which then takes it for that of the task.
    assert "TimedOut" in states or "daily" in limits
    assert {count for _, count in ended.tasks.values()} <= {0, 1}
    assert ended.seconds < max(limits.values()) + 2 * response_seconds + SLACK_SECONDS
    assert ended.process_seconds < ended.seconds + START_SLACK_SECONDS
    assert 0 < requests_count <= 8 * 4, "eight readers, and what they had time for"
    check_nothing_is_left(served, ended)
    node.faults = []
    assert published_version(served) == before


def test_person_cancels_a_run_in_a_browser(served: Serving) -> None:
    from playwright.sync_api import expect

    before = published_version(served)
    run_id = backfill_at_work(served)
    (process,) = served.run_processes()
    with browser_page(served) as page:
        page.goto(f"{served.address}/v2/automations")
        expect(page.get_by_text("No receiver yet, these reach nobody: capitulation entered")).to_be_visible()
        page.screenshot(path=SCREENSHOTS / "8-automations.png")
        page.goto(f"{served.address}/v2/runs/flow-run/{run_id}")
        expect(page.get_by_text("Running").first).to_be_visible()
        page.locator("button[aria-haspopup=menu]").click()
        page.get_by_role("menuitem", name="Cancel", exact=True).click()
        page.get_by_role("button", name="Cancel Flow Run").click()
        expect(page.get_by_text("Cancelled", exact=True).first).to_be_visible()
        page.screenshot(path=SCREENSHOTS / "7-cancelled.png")
    assert served.wait(run_id)["type"] == "CANCELLED"
    eventually(lambda: not served.run_processes() and not Path(f"/proc/{process}").exists(), "the end of the process")
    with one_run_at_a_time(served.home / "run.lock"):
        pass
    assert published_version(served) == before


def test_run_after_them_completes_and_lists_what_became_of_them(served: Serving) -> None:
    served.finish("daily", profile="demo", day="2026-01-17", since="2026-01-16")
    runs = served.published("select profile, status, coalesce(error, '') from meta.runs order by started_at")
    published, *cut, last = runs
    assert published == ("demo", "published", "")
    assert last == ("demo", "published", "")
    assert [(profile, status) for profile, status, _ in cut] == [
        ("node-only", "failed"),
        ("web", "failed"),
        ("node-only", "failed"),
        ("node-only", "failed"),
        ("demo", "failed"),
    ]
    whole_run = "FlowRunTimeoutError: the run took longer than its limit of {} s"
    one_task = "TaskRunTimeoutError: Scope timed out after 2.0 second(s)."
    assert [error for _, _, error in cut] == [
        whole_run.format(2),
        one_task,
        whole_run.format(4),
        one_task,
        "interrupted (TerminationSignal)",
    ]


def test_error_that_passes_is_tried_again_and_the_run_completes(served: Serving, node: ReplayNode) -> None:
    node.facts = {"initialblockdownload": True}
    run_id = served.click("daily", profile="node-only", since=SINCE, switch_profile=True)
    eventually(lambda: "AwaitingRetry" in {state for state, _ in tasks(served, run_id).values()}, "the first try")
    node.facts = {}
    assert served.wait(run_id)["type"] == "COMPLETED", served.logs(run_id)
    found = tasks(served, run_id)
    assert found.pop("plan node") == ("Completed", 2)
    assert {count for _, count in found.values()} == {1}


def test_error_that_stays_is_not_tried_again(served: Serving, node: ReplayNode) -> None:
    before = published_version(served)
    node.password = "changed since"
    node.seen.clear()
    run_id = served.click("daily", profile="node-only", switch_profile=True)
    assert served.wait(run_id)["type"] == "FAILED"
    node.password = PASSWORD
    # The server learns of tasks by events, the last of which may come after the run's end.
    ended = {"plan node": ("Completed", 1), "ingest node": ("Failed", 1)}
    eventually(lambda: tasks(served, run_id) == ended, "the states of its tasks")
    assert "credentials that the node rejects" in str(served.run(run_id)["state"]["message"])
    assert published_version(served) == before
