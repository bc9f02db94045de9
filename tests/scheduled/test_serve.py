"""`hashpivot serve` for real: server, runs in processes of their own, a browser, receivers of alerts, and accidents.

The tests of this file share one home and go on where the one before has ended, as a machine does that runs for weeks.
"""

import base64
import json
import os
import signal
import subprocess
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.invocation import COMMAND, PYTHON, clean_environment, eventually, last_final_day
from tests.other_user import as_other_user
from tests.scheduled.receivers import WEBHOOK_PATH, Received, listening
from tests.scheduled.serving import (
    LOCK_SECONDS,
    REBOUND,
    SCREENSHOTS,
    Serving,
    backfill_at_work,
    browser_page,
    pick,
    published_version,
    submit,
)
from warehouse.private import OWN_FILES, OWN_FOLDERS, open_to_others

REPOSITORY = Path(__file__).parents[2]
SECRETS = ("loginSecretToken", "webhookSecretToken", "slackSecretToken", "desk@example.org")
DEPLOYMENTS = ("daily", "backfill", "registry-refresh", "publish-only", "rebuild-as-of")
LEFT = {"hashpivot-brief", "hashpivot-figures", "hashpivot-chart"}
LATE = "[alarm] hashpivot: The publication is late"


@pytest.fixture(scope="module")
def received(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Received]:
    with listening(tmp_path_factory.mktemp("receivers")) as received:
        yield received


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, received: Received) -> Iterator[Serving]:
    serving = Serving(tmp_path_factory.mktemp("serve"), environment=received.environment)
    serving.start()
    yield serving
    if serving.process is not None and serving.process.poll() is None:
        serving.kill()


def subjects(received: Received) -> list[str]:
    """The subjects that the webhook received, but for lateness: the days that are published here are long gone."""
    found = [json.loads(body)["subject"] for _, body in received.webhook]
    return [subject for subject in found if subject != LATE]


def test_deployments_have_forms_schedules_tags_and_a_text(served: Serving) -> None:
    for name in DEPLOYMENTS:
        deployment = served.deployment(name)
        assert "hashpivot" in deployment["tags"]
        assert len(deployment["description"]) > 100
        assert not deployment["paused"]
        assert deployment["concurrency_options"]["collision_strategy"] == "ENQUEUE"
        form = deployment["parameter_openapi_schema"]
        assert all(field["title"] and field["description"] for field in form["properties"].values())
        assert form["properties"]["profile"]["enum"][:2] == ["demo", "files"]
        assert form["properties"]["profile"]["description"].startswith("Profile: demo (setting of this machine)")
        assert form["additionalProperties"] is False
    crons = {name: [s["schedule"] for s in served.deployment(name)["schedules"]] for name in DEPLOYMENTS}
    assert {name: [(s["cron"], s["timezone"]) for s in given] for name, given in crons.items() if given} == {
        "daily": [("30 2 * * *", "UTC")],
        "registry-refresh": [("0 5 * * 1", "UTC")],
    }


def test_another_user_can_neither_change_a_deployment_nor_start_it_nor_read_passwords(served: Serving) -> None:
    deployment = served.deployment("daily")["id"]
    requests = [
        ("PATCH", f"/deployments/{deployment}", {"entrypoint": "/tmp/planted.py:planted"}),
        ("POST", f"/deployments/{deployment}/create_flow_run", {"state": {"type": "SCHEDULED"}}),
        ("POST", "/block_documents/filter", {"include_secrets": True}),
        ("GET", "/admin/settings", None),
    ]
    login, server = served.home / "prefect/login", Path("/proc", str(served.server_process()), "environ")

    def try_all() -> tuple[list[int], list[str]]:
        statuses, read = [], []
        for method, path, body in requests:
            request = urllib.request.Request(
                f"{served.address}/api{path}",
                method=method,
                data=None if body is None else json.dumps(body).encode(),
                headers={"Content-Type": "application/json"},
            )
            try:
                statuses.append(urllib.request.urlopen(request, timeout=LOCK_SECONDS).status)
            except urllib.error.HTTPError as error:
                statuses.append(error.code)
        for file in (login, server):
            try:
                read.append(file.read_text())
            except PermissionError:
                continue
        return statuses, read

    assert as_other_user(try_all) == ([401] * len(requests), [])
    assert login.stat().st_mode & 0o777 == 0o600
    assert served.deployment("daily")["entrypoint"] == "flows.scheduled.flows.daily"
    assert served.fetch("/block_documents/filter", {"include_secrets": True}) != []


FOREIGN = """async ([address, login]) => {
    const attempt = async (what) => { try { return await what() } catch (error) { return error.name } };
    const json = {"Content-Type": "application/json", "Authorization": "Basic " + btoa(login)};
    const planted = new Blob([JSON.stringify({"name": "planted", "value": 1})]);
    const socket = (login) => new Promise((resolve) => {
        const opened = new WebSocket(address.replace("http", "ws") + "/api/events/out", ["prefect"]);
        opened.onerror = () => resolve("refused");
        opened.onopen = () => resolve("open");
    });
    return [
        await attempt(async () => (await fetch(address + "/api/health")).status),
        await attempt(async () => (await fetch(
            address + "/api/deployments/filter", {method: "POST", headers: json, body: "{}"})).status),
        await attempt(async () => (await fetch(
            address + "/api/variables/", {method: "POST", mode: "no-cors", body: planted})).type),
        await socket(),
    ];
}"""


def test_page_of_another_origin_reaches_nothing_even_with_the_login(served: Serving, tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text(f'<iframe src="{served.address}/v2/login"></iframe>', encoding="utf-8")
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as foreign, browser_page() as page:
        threading.Thread(target=foreign.serve_forever, daemon=True).start()
        page.goto(f"http://127.0.0.1:{foreign.server_port}/")
        assert page.evaluate(FOREIGN, [served.address, served.login]) == ["TypeError", "TypeError", "opaque", "refused"]
        assert "Login" not in page.frames[1].content()
        # A name of somebody else that leads to this machine, as an attacker's name server gives it out.
        response = page.goto(f"http://{REBOUND}:{served.port}/")
        assert response is not None
        assert (response.status, served.address in page.content()) == (403, True)
        foreign.shutdown()
    assert served.fetch("/variables/filter", {}) == []


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("daily", {"profile": "nonsense"}),
        ("daily", {"day": "yesterday"}),
        ("daily", {"day": "2026-02-30"}),
        ("daily", {"day": "2999-01-01"}),
        ("backfill", {"since": "2008-12-31"}),
        ("rebuild-as-of", {"as_of": "2026-13-01T00:00:00Z"}),
        ("daily", {"home": "/etc"}),
        ("publish-only", {"max_requests": 5}),
        ("daily", {"parameters": {"day": "2026-02-10"}}),
        ("backfill", {}),
        ("backfill", {"since": "2026-01-01", "shards": 0}),
        ("backfill", {"since": "2026-01-01", "shards": 1000}),
        ("rebuild-as-of", {}),
    ],
)
def test_nonsense_is_refused_before_there_is_a_run(served: Serving, name: str, parameters: dict[str, Any]) -> None:
    refused = json.loads(served.refusal(name, **parameters))["detail"]
    assert refused.startswith("Error creating flow run: Validation failed")
    assert "\n" not in refused


def test_form_that_cannot_be_used_fails_with_one_line_and_a_proper_name(served: Serving) -> None:
    tomorrow = f"{datetime.now(UTC) + timedelta(days=1):%Y-%m-%d}"
    (served.folder / "latin.toml").write_bytes(b'title = "M\xe9"\n')
    forms: list[tuple[str, dict[str, Any], str, str]] = [
        (
            "daily",
            {"profile_file": "/nowhere.toml"},
            f"daily {last_final_day()} nowhere",
            "profile: found '/nowhere.toml', expected one of ",
        ),
        (
            "daily",
            {"profile_file": "latin.toml"},
            f"daily {last_final_day()} latin",
            "profile: found 'latin.toml with byte 0xe9 at ",
        ),
        (
            "daily",
            {"day": tomorrow},
            f"daily {tomorrow} demo",
            f"day: found '{tomorrow}', expected a UTC day that is over",
        ),
        (
            "daily",
            {"day": "2025-02-29"},
            f"daily {last_final_day()} demo",
            "day: found '2025-02-29', expected a valid date",
        ),
        (
            "backfill",
            {"since": "2026-03-01", "through": "2026-01-01"},
            "backfill 2026-03-01 to 2026-01-01 demo",
            "from: found '2026-03-01', expected a day up to 2026-01-01; swap or correct the range",
        ),
        (
            "rebuild-as-of",
            {"as_of": "2090-01-01T00:00:00Z"},
            "rebuild-as-of 2090-01-01 00:00 UTC demo",
            "as of: found '2090",
        ),
    ]
    runs = [served.click(name, **parameters) for name, parameters, _, _ in forms]
    for run_id, (_, _, run_name, message) in zip(runs, forms, strict=True):
        state = served.wait(run_id)
        assert state["type"] == "FAILED"
        assert state["message"].startswith(message)
        assert "\n" not in state["message"]
        assert served.run(run_id)["name"] == run_name


def unchecked(served: Serving, name: str, **parameters: Any) -> str:
    """A run whose parameters nothing has compared with the form; returns its identifier."""
    body = {"state": {"type": "SCHEDULED"}, "parameters": parameters, "enforce_parameter_schema": False}
    return str(served.fetch(f"/deployments/{served.deployment(name)['id']}/create_flow_run", body)["id"])


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("daily", {"parameters": {"home": "/etc"}}, "home: found '/etc', expected no such field, only profile, "),
        ("backfill", {}, "since: found None, expected a value; fill in the form"),
        ("publish-only", {"parameters": {"max_requests": 5}}, "max_requests: found 5, expected no such field, only "),
        ("daily", {"parameters": "day"}, "parameters: found 'day', expected no such field, only "),
    ],
)
def test_run_that_the_form_would_have_refused_fails_with_one_line(
    served: Serving, name: str, parameters: dict[str, Any], message: str
) -> None:
    state = served.wait(unchecked(served, name, **parameters))
    assert state["type"] == "FAILED"
    assert state["message"].startswith(message)
    assert "\n" not in state["message"]


def test_run_leaves_figures_a_brief_a_chart_and_a_link_and_the_first_one_alarms_nobody(
    served: Serving, received: Received
) -> None:
    run_id = served.finish("daily", profile="demo", day="2026-02-10")
    assert served.run(run_id)["name"] == "daily 2026-02-10 demo"
    left = served.artifacts(run_id)
    assert set(left) == {"hashpivot-figures", "hashpivot-brief", "hashpivot-chart", "hashpivot-publication"}
    figures = json.loads(left["hashpivot-figures"]["data"])
    ((score,),) = served.published("select capitulation_score from capitulation_daily where day = '2026-02-10'")
    assert figures[0]["Value"] == f"{score:.1f} of 100"
    assert figures[0]["Zone"] == "capitulation"
    assert left["hashpivot-brief"]["data"].startswith("# Bitcoin miners on 2026-02-10: capitulation")
    assert "**Simulated data**" in left["hashpivot-brief"]["data"]
    assert "## Alerts\n\nNone in this run; they go out by webhook, slack, mail." in left["hashpivot-brief"]["data"]
    head, picture = left["hashpivot-chart"]["data"].split(",", 1)
    assert head == "data:image/svg+xml;charset=utf-8"
    assert "<path" in urllib.parse.unquote(picture)
    assert sum(len(json.dumps(artifact)) for artifact in left.values()) < 40_000
    assert subjects(received) == []
    address = f"{served.address}/published/report/"
    assert f"[report of 2026-02-10]({address})" in left["hashpivot-publication"]["data"]
    request = urllib.request.Request(address)
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(request, timeout=60)
    request.add_header("Authorization", f"Basic {base64.b64encode(served.login.encode()).decode()}")
    with urllib.request.urlopen(request, timeout=60) as response:
        assert response.read() == (served.home / "published/report/index.html").read_bytes()
    for start in ("ingested source=simulated rows=", "published version="):
        eventually(lambda start=start: [line for line in served.logs(run_id) if line.startswith(start)], start)


def test_server_keeps_which_sources_each_table_was_made_from(served: Serving) -> None:
    def events() -> dict[str, dict[str, Any]]:
        wanted = {"filter": {"event": {"name": ["prefect.asset.materialization.succeeded"]}}, "limit": 50}
        return {
            event["resource"]["prefect.resource.name"]: event
            for event in served.fetch("/events/filter", wanted)["events"]
        }

    tables = dict(served.published("select table_name, row_count from meta.tables where row_count > 0"))
    eventually(lambda: len(events()) == len(tables), "an event for each table with rows")
    assert {name: event["payload"]["row_count"] for name, event in events().items()} == tables
    days = events()["capitulation_daily"]
    assert days["payload"]["last_day"] == "2026-02-10"
    related = {each["prefect.resource.role"]: each["prefect.resource.id"] for each in days["related"]}
    assert related["flow-run"].startswith("prefect.flow-run.")
    sources = {each["prefect.resource.id"] for each in days["related"] if each["prefect.resource.role"] == "asset"}
    assert sources == {"hashpivot://source/registry", "hashpivot://source/simulated"}


def test_receivers_are_listed_by_the_automations_of_the_server_and_by_doctor(served: Serving) -> None:
    names = {automation["name"] for automation in served.fetch("/automations/filter", {})}
    assert names == {f"hashpivot alerts by {channel}" for channel in ("webhook", "slack", "mail")}
    row = doctor_of(served, "alerts")
    assert (row["state"], row["found"]) == ("ok", "sent by webhook, slack, mail")


def test_command_of_the_same_home_joins_the_server_that_serves_it(served: Serving) -> None:
    command = [COMMAND, "daily", "--profile", "demo", "--day", "2026-02-10", "--home", str(served.home), "--json"]
    done = subprocess.run(
        command,
        cwd=served.folder,
        env=clean_environment(HOME=str(served.folder)),
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    runs = served.fetch("/flow_runs/filter", {"flow_runs": {"name": {"any_": ["daily 2026-02-10 demo"]}}})
    (joined,) = [run for run in runs if run["deployment_id"] is None]
    assert joined["state"]["type"] == "COMPLETED"
    assert "hashpivot-brief" in served.artifacts(joined["id"])
    assert json.loads(done.stdout)["day"] == "2026-02-10"


def test_alerts_reach_webhook_slack_and_mail_once_and_recovery_is_sent(served: Serving, received: Received) -> None:
    served.finish("daily", profile="demo", day="2026-02-12")
    left, burst = "[recovery] hashpivot: Miners left capitulation", "[news] hashpivot: Burst of coins from miners"
    eventually(lambda: subjects(received) == [left], "recovery by webhook")
    eventually(lambda: any(left.encode() in body for _, body in received.slack), "recovery by Slack")
    eventually(lambda: left in {subject for subject, _ in received.mail}, "recovery by mail")
    assert {path for path, _ in received.webhook} == {WEBHOOK_PATH}
    assert any("2026-02-12" in text for _, text in received.mail)

    # The same day once more, by a run that a release has planned whose forms were not flat.
    earlier = unchecked(served, "daily", parameters={"profile": "demo", "day": "2026-02-12", "since": None})
    assert served.wait(earlier)["type"] == "COMPLETED"
    assert served.run(earlier)["name"] == "daily 2026-02-12 demo"
    # Beside the current publication nothing has changed for anybody; in its place the old state comes back.
    run_id = served.finish("publish-only", profile="demo", day="2026-02-10")
    assert set(served.artifacts(run_id)) == {"hashpivot-rebuilt"}
    assert served.published("select max(day) from capitulation_daily") == [(date(2026, 2, 12),)]
    served.finish("publish-only", profile="demo", day="2026-02-10", replace=True)
    served.finish("daily", profile="demo", day="2026-02-17")
    entered = "[alarm] hashpivot: Miners entered capitulation"
    eventually(
        lambda: entered in subjects(received) and any(subject.startswith(burst) for subject in subjects(received)),
        "the alarm and the news",
    )
    assert len(subjects(received)) == 3
    assert len([subject for subject in subjects(received) if subject.startswith(burst)]) == 1
    assert subjects(received).count(left) == 1
    assert subjects(received).count(entered) == 1
    assert [event["event"] for event in events(served)].count("hashpivot.capitulation.left") == 1


def events(served: Serving) -> list[dict[str, Any]]:
    found = served.fetch("/events/filter", {"filter": {"event": {"prefix": ["hashpivot."]}}, "limit": 50})
    events: list[dict[str, Any]] = found["events"]
    return events


def test_second_trigger_waits_for_the_first(served: Serving) -> None:
    # Of one day: the server may start them in either order, and an earlier day would be published beside a later one.
    first = served.click("daily", profile="demo", day="2026-02-19")
    second = served.click("daily", profile="demo", day="2026-02-19")
    other = served.click("publish-only", profile="demo", day="2026-02-19")
    for run_id in (first, second, other):
        assert served.wait(run_id)["type"] == "COMPLETED"
    states = {run_id: served.fetch(f"/flow_run_states/?flow_run_id={run_id}") for run_id in (first, second)}
    waited = [run_id for run_id, seen in states.items() if "AwaitingConcurrencySlot" in {s["name"] for s in seen}]
    assert len(waited) == 1
    runs = served.published(
        "select started_at, ended_at from meta.runs where day = '2026-02-19' and status = 'published' order by 2"
    )
    assert len(runs) == 3
    # The lock beneath keeps runs of different deployments apart as well: none ended while another published.
    assert "waiting: " in " ".join(served.logs(other)) or runs == sorted(runs)


def test_publication_that_is_late_is_reported_once(served: Serving, received: Received) -> None:
    def alarms() -> list[bytes]:
        return [body for _, body in received.webhook if LATE.encode() in body]

    eventually(alarms, "the alarm")
    served.finish("publish-only", profile="demo")
    eventually(lambda: "[recovery] hashpivot: The publication has caught up" in subjects(received), "its end")
    assert len(alarms()) == 1


def test_person_finds_the_form_fills_it_and_sees_the_result_in_a_browser(served: Serving) -> None:
    from playwright.sync_api import expect

    with browser_page(served) as page:
        page.get_by_role("link", name="Deployments").click()
        expect(page.get_by_text("rebuild-as-of").first).to_be_visible()
        page.screenshot(path=SCREENSHOTS / "1-deployments.png")
        page.locator("a[href*='deployments/deployment']", has_text="backfill").first.click()
        pick(page.get_by_role("button", name="Run", exact=True), page.get_by_role("menuitem", name="Custom run"))

        expect(page.get_by_text("Profile: demo (setting of this machine)")).to_be_visible()
        pick(page.get_by_role("button", name="Select Profile"), page.get_by_role("option", name="demo"))
        pick(page.get_by_label("From", exact=True), page.get_by_role("button", name="Go to the Previous Month"))
        page.locator("[role=gridcell][data-day$='-15'] button").click()
        page.keyboard.press("Escape")
        page.get_by_label("Shards (Optional)").fill("3")
        page.screenshot(path=SCREENSHOTS / "2-form.png")
        run_id = submit(page)
        page.goto(f"{served.address}/v2/runs/flow-run/{run_id}")
        expect(page.get_by_text("Completed").first).to_be_visible(timeout=180_000)
        eventually(lambda: served.logs(run_id), "its log")
        page.reload()
        expect(page.get_by_text("ingested source=simulated").first).to_be_visible()
        page.screenshot(path=SCREENSHOTS / "3-run.png")
        run = served.run(run_id)
        assert run["parameters"]["shards"] == 3
        assert run["parameters"]["profile"] == "demo"
        eventually(lambda: served.artifacts(run_id)["hashpivot-progress"]["data"] == 100.0, "the end of the progress")
        eventually(lambda: served.artifacts(run_id).keys() >= LEFT, "the brief, the figures and the chart")
        left = served.artifacts(run_id)
        assert left["hashpivot-progress"]["description"].startswith("4 of 4 parts")

        page.goto(f"{served.address}/v2/artifacts/artifact/{left['hashpivot-brief']['id']}")
        expect(page.get_by_role("heading", name="What moved the score")).to_be_visible()
        page.screenshot(path=SCREENSHOTS / "4-brief.png")
        page.goto(f"{served.address}/v2/artifacts/artifact/{left['hashpivot-figures']['id']}")
        expect(page.get_by_text("Capitulation score").first).to_be_visible()
        page.screenshot(path=SCREENSHOTS / "5-figures.png")
        page.goto(f"{served.address}/v2/artifacts/artifact/{left['hashpivot-chart']['id']}")
        image = page.locator("img[src^='data:image/svg']")
        expect(image).to_be_visible()
        assert image.evaluate("image => image.naturalWidth") == 800
        # Nothing of the page, the address of the picture least of all, is wider than the window.
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        page.screenshot(path=SCREENSHOTS / "6-chart.png")


def test_stop_leaves_nothing_half_done(served: Serving) -> None:
    before = published_version(served)
    run_id = backfill_at_work(served)
    served.fetch(f"/flow_runs/{run_id}/set_state", {"state": {"type": "CANCELLING"}})
    assert served.wait(run_id)["type"] == "CANCELLED"
    assert published_version(served) == before
    eventually(lambda: not served.run_processes(), "the end of the process")


def test_killed_run_is_reported_as_crashed_and_the_next_one_completes(served: Serving) -> None:
    before = published_version(served)
    run_id = backfill_at_work(served)
    (process,) = served.run_processes()
    os.kill(process, signal.SIGKILL)
    assert served.wait(run_id)["type"] == "CRASHED"
    assert published_version(served) == before
    served.finish("publish-only", profile="demo")
    assert published_version(served) != before


@pytest.mark.long
def test_run_outlives_a_restart_of_the_server(served: Serving) -> None:
    run_id = backfill_at_work(served, shards=40)
    server = served.server_process()
    os.kill(server, signal.SIGKILL)
    state = served.wait(run_id)
    assert state["type"] == "COMPLETED", served.logs(run_id)
    assert served.server_process() != server


@pytest.mark.long
def test_after_a_loss_of_power_the_schedule_fires_by_itself_and_goes_on(served: Serving) -> None:
    lost = backfill_at_work(served)
    before = published_version(served)
    served.kill()
    assert published_version(served) == before
    served.given_login = "desk:loginSecretToken"
    served.start(
        HASHPIVOT_DAILY_CRON="* * * * *", HASHPIVOT_PROFILE="demo", PREFECT_SERVER_API_AUTH_STRING=served.given_login
    )
    assert served.run(lost)["state"]["type"] == "CRASHED"
    scheduler = doctor_of(served, "scheduler")
    assert scheduler["state"] == "ok"
    assert scheduler["found"] == f"server of hashpivot serve at 127.0.0.1:{served.port}, with a login"
    deployment = served.deployment("daily")["id"]
    completed = {"flow_runs": {"deployment_id": {"any_": [deployment]}, "state": {"type": {"any_": ["COMPLETED"]}}}}

    def fired() -> list[dict[str, Any]]:
        return [run for run in served.fetch("/flow_runs/filter", completed) if run["auto_scheduled"]]

    eventually(fired, "a run by schedule")
    assert fired()[0]["state"]["type"] == "COMPLETED"


@pytest.mark.long
def test_work_pool_takes_the_same_deployments(served: Serving) -> None:
    served.fetch("/work_pools/", {"name": "hashpivot", "type": "process"})
    done = subprocess.run(
        [PYTHON, "-m", "prefect", "--no-prompt", "deploy", "--all"],
        cwd=REPOSITORY,
        env=dict(os.environ) | served.client | {"HOME": str(served.folder), "NO_PROXY": "127.0.0.1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for name in DEPLOYMENTS:
        deployment = served.deployment(name)
        assert deployment["work_pool_name"] == "hashpivot"
        assert deployment["concurrency_options"]["collision_strategy"] == "ENQUEUE"
        assert all(field["description"] for field in deployment["parameter_openapi_schema"]["properties"].values())
        assert all(s["schedule"]["timezone"] == "UTC" for s in deployment["schedules"])


def test_nothing_secret_is_kept_or_printed(served: Serving) -> None:
    kept = [
        served.fetch("/flow_runs/filter", {}),
        served.fetch("/artifacts/filter", {}),
        served.fetch("/automations/filter", {}),
        served.fetch("/block_documents/filter", {}),
        served.fetch("/logs/filter", {"limit": 200}),
        events(served),
    ]
    for secret in SECRETS:
        assert secret not in json.dumps(kept)
        assert secret not in served.output
        assert secret.encode() not in (served.home / "prefect/prefect.db").read_bytes()


def test_sigterm_stops_everything_and_leaves_the_schedules_on(served: Serving) -> None:
    served.fetch(f"/deployments/{served.deployment('daily')['id']}")
    assert open_to_others(served.home) == []
    assert {entry.name for entry in served.home.iterdir()} <= OWN_FOLDERS | OWN_FILES
    family = served.family()
    assert len(family) >= 3
    assert served.stop() == 0
    eventually(lambda: not [pid for pid in family if Path(f"/proc/{pid}").exists()], "the end of all processes")
    import sqlite3

    with sqlite3.connect(served.home / "prefect/prefect.db") as database:
        (active,) = database.execute("select count(*) from deployment_schedule where active").fetchone()
    assert active == 2


def test_sigterm_during_the_start_is_a_stop_like_any_other(served: Serving) -> None:
    before = served.launch()
    eventually(lambda: len(served.family()) > 1, "its server")
    family = served.family()
    assert served.stop() == 0
    assert "Aborted" not in served.output[before:]
    eventually(lambda: not [pid for pid in family if Path(f"/proc/{pid}").exists()], "the end of all processes")


def doctor_of(served: Serving, what: str) -> dict[str, str]:
    """What `hashpivot doctor` reports of one thing in that home without its login and the settings of its server."""
    done = subprocess.run(
        [COMMAND, "doctor", "--home", str(served.home), "--json"],
        env=clean_environment(HOME=str(served.folder)),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return next(row for row in json.loads(done.stdout) if row["what"] == what)
