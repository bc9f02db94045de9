"""Alerts about deals, revisions and failed checks, from a click to the people who receive them.

A package of an earlier release, a folder of exports that changes between runs, a real server and real receivers. The
tests of this file share one home and go on where the one before has ended.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from logging import WARNING
from pathlib import Path
from typing import Any

import pytest

from tests.invocation import COMMAND, eventually
from tests.scheduled.receivers import WEBHOOK_PATH, Received, listening
from tests.scheduled.serving import Serving
from warehouse.registry import load_registry
from warehouse.registry_totals import LINE, line

REPOSITORY = Path(__file__).parents[2]
PACKAGES = ("flows", "schemas", "transforms", "warehouse")
SECRETS = ("webhookSecretToken", "slackSecretToken", "desk@example.org")
DEAL = "WULF-ANTH-2026-07"
DAYS = 60
LAST = datetime.now(UTC).date() - timedelta(days=2)
"""Over and final whenever the tests run, and not late within the ten days that are set below."""
HISTORIC, BAD, ALSO_BAD = LAST - timedelta(days=30), LAST - timedelta(days=7), LAST - timedelta(days=6)
NEVER = "0 0 29 2 *"
"""No schedule may fire here: its run would be for another day."""
SUBSIDY_BTC = 3.125

ADDED = "[news] hashpivot: 1 deal added to the registry"
REVISED = "[news] hashpivot: 1 observation revised"
STOPPED = "[alarm] hashpivot: Checks stopped a publication"
HOLDS = "[recovery] hashpivot: Checks hold again"


class Exports:
    """A folder with a daily CSV as Coin Metrics gives it out, which is published again with some cells changed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.blocks: dict[date, int] = {}
        self.prices: dict[date, float] = {}

    def write(self) -> None:
        lines = ["time,BlkCnt,FeeTotNtv,IssTotNtv,PriceUSD"]
        for day in (LAST - timedelta(days=n) for n in reversed(range(DAYS))):
            blocks = self.blocks.get(day, 144)
            lines.append(f"{day},{blocks},2.5,{SUBSIDY_BTC * blocks},{self.prices.get(day, 90_000)}")
        self.folder.mkdir(exist_ok=True)
        (self.folder / "btc.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.fixture(scope="module")
def received(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Received]:
    with listening(tmp_path_factory.mktemp("receivers")) as received:
        yield received


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Exports:
    exports = Exports(tmp_path_factory.mktemp("exports"))
    exports.write()
    return exports


@pytest.fixture(scope="module")
def earlier_package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packages as they were before a deal became known: without its row, and with the totals of that registry."""
    folder = tmp_path_factory.mktemp("earlier")
    for package in PACKAGES:
        # Half-written ones, which another process renames in this moment.
        shutil.copytree(REPOSITORY / package, folder / package, ignore=shutil.ignore_patterns("*.pyc.*"))
    deals = folder / "warehouse/reference/conversion_deal.csv"
    rows = deals.read_text(encoding="utf-8").splitlines(keepends=True)
    kept = [row for row in rows if not row.startswith(f"{DEAL},")]
    assert len(rows) - len(kept) == 1
    deals.write_text("".join(kept), encoding="utf-8")
    changelog = folder / "warehouse/CHANGELOG.md"
    totals = line(load_registry(folder / "warehouse/reference"))
    changed = re.sub(rf"^{LINE}.*$", totals, changelog.read_text(encoding="utf-8"), count=1, flags=re.MULTILINE)
    changelog.write_text(changed, encoding="utf-8")
    checked = subprocess.run(
        [COMMAND, "registry", "check"],
        env=os.environ | {"PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr
    return folder


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, received: Received, exports: Exports) -> Iterator[Serving]:
    settings = {
        "HASHPIVOT_PROFILE": "files",
        "HASHPIVOT_FILES_DIR": str(exports.folder),
        "HASHPIVOT_LATE_AFTER_HOURS": "240",
        "HASHPIVOT_DAILY_CRON": NEVER,
        "HASHPIVOT_WEEKLY_CRON": NEVER,
    }
    serving = Serving(tmp_path_factory.mktemp("serve_alerts"), environment=received.environment | settings)
    yield serving
    if serving.process is not None and serving.process.poll() is None:
        serving.kill()


def publish(served: Serving) -> str:
    return served.finish("daily", day=str(LAST))


def stopped_run(served: Serving) -> tuple[str, str]:
    """A run that fails, and the one line of why."""
    run_id = served.click("daily", day=str(LAST))
    state = served.wait(run_id)
    assert state["type"] == "FAILED"
    reason = str(state["message"])
    assert "\n" not in reason
    assert "Traceback" not in reason
    return run_id, reason


def events_of(served: Serving, run_id: str) -> list[str]:
    """Events that the run has sent, by its log, once the last line of it has come."""
    lines: list[dict[str, Any]] = []

    def is_over() -> bool:
        wanted = {"logs": {"flow_run_id": {"any_": [run_id]}}, "sort": "TIMESTAMP_ASC"}
        lines[:] = served.fetch("/logs/filter", wanted)
        # Each task of the run logs the same when it has ended.
        return any(line["message"].startswith("Finished in state") and not line["task_run_id"] for line in lines)

    eventually(is_over, "the end of the log")
    found = [re.match(r"alert event=(\S+)", line["message"]) for line in lines]
    return [event[1] for event in found if event]


def assert_warned(served: Serving, run_id: str) -> None:
    """Each warning of the publication is in the log as one, and the state names the first of them beside the day."""
    found = served.published(
        "select case when table_name = '' then check_name else table_name || ': ' || check_name end from meta.quality "
        "where not passed and severity = 'warning'"
    )
    lines = served.fetch("/logs/filter", {"logs": {"flow_run_id": {"any_": [run_id]}, "level": {"ge_": WARNING}}})
    assert found
    for (name,) in found:
        assert [line for line in lines if line["message"].startswith(f"{name}: ")], name
    message = str(served.run(run_id)["state"]["message"])
    assert message.startswith(f"published {LAST}; ")
    assert f"{found[0][0]}: " in message
    assert "\n" not in message


def messages(received: Received) -> dict[str, list[tuple[str, str]]]:
    """Subject and text of all that came, by channel."""
    webhook = [json.loads(body) for _, body in received.webhook]
    slack = [json.loads(body)["attachments"][0] for _, body in received.slack]
    return {
        "webhook": [(sent["subject"], sent["text"]) for sent in webhook],
        "slack": [(sent["title"], sent["text"]) for sent in slack],
        "mail": received.mail,
    }


def alerts(received: Received, subject: str, count: int = 1) -> list[str]:
    """The newest text with that subject of each channel, once each has as many of them as `count`."""

    def texts() -> list[list[str]]:
        return [[text for head, text in came if subject in head] for came in messages(received).values()]

    eventually(lambda: all(len(each) >= count for each in texts()), f"{count} of {subject} by each channel")
    assert [len(each) for each in texts()] == [count] * 3
    return [" ".join(each[-1].split()) for each in texts()]


def digests(served: Serving) -> dict[str, str]:
    """Of every file of the current publication, its manifest included, by the bytes that are there."""
    current = (served.home / "published/current").resolve()
    files = sorted(path for path in current.rglob("*") if path.is_file())
    found = {str(path.relative_to(current)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    manifest = json.loads((current / "manifest.json").read_text(encoding="utf-8"))
    assert {file["path"]: file["sha256"] for file in manifest["files"]}.items() <= found.items()
    return found | {"version": current.name}


def test_upgrade_that_brings_a_deal_names_it_to_everybody(
    served: Serving, received: Received, earlier_package: Path
) -> None:
    served.start(PYTHONPATH=str(earlier_package))
    assert events_of(served, publish(served)) == []
    assert served.published(f"select count(*) from conversion_deal where deal_id = '{DEAL}'") == [(0,)]
    assert served.stop() == 0

    served.start(PYTHONPATH=str(REPOSITORY))
    assert events_of(served, publish(served)) == ["hashpivot.deal.added"]
    about = "TeraWulf, tenant Anthropic, 401 MW of critical IT load, 19 bn USD, announced on 2026-07-06, confirmed"
    for text in alerts(received, ADDED):
        assert f"{DEAL}: {about}." in text
        assert "the table conversion_deal" in text


def test_revision_of_a_historic_value_is_reported_with_both_values(
    served: Serving, received: Received, exports: Exports
) -> None:
    exports.prices[HISTORIC] = 91_000.5
    exports.write()
    assert events_of(served, publish(served)) == ["hashpivot.revision"]
    for text in alerts(received, REVISED):
        assert f"coinmetrics_export, price_usd of {HISTORIC}: 90,000 to 91,000.5, +1.1 %." in text
        assert "meta.revisions" in text
    assert events_of(served, publish(served)) == []


def test_failed_check_stops_the_publication_and_is_reported_once(
    served: Serving, received: Received, exports: Exports
) -> None:
    before = digests(served)
    exports.blocks[BAD] = 300
    exports.write()
    run_id, reason = stopped_run(served)
    found = f"blocks of a day (1 of {DAYS} days broken: {BAD} block_count=300; expected 40 to 260 since 2013)"
    assert f"stopped by 1 failed check(s): capitulation_daily: {found}; the last publication stays" in reason
    assert events_of(served, run_id) == ["hashpivot.data-quality.failed"]
    for text in alerts(received, STOPPED):
        assert f"The day {LAST} is not published; readers keep the last publication." in text
        assert found in text
        assert "run `daily` again" in text

    exports.blocks[ALSO_BAD] = 290
    exports.write()
    again, reason = stopped_run(served)
    assert "2 of" in reason
    assert events_of(served, again) == []
    assert digests(served) == before


def test_publication_that_was_stopped_comes_out_and_its_recovery_is_reported(
    served: Serving, received: Received, exports: Exports
) -> None:
    exports.blocks.clear()
    exports.prices |= {HISTORIC + timedelta(days=n): 91_000.5 for n in range(1, 7)}  # more than single days: a warning
    exports.write()
    run_id = publish(served)
    assert events_of(served, run_id) == ["hashpivot.data-quality.recovered", "hashpivot.revision"]
    assert_warned(served, run_id)
    for text in alerts(received, HOLDS):
        assert f"The day {LAST} is published" in text
        assert "capitulation_daily: blocks of a day" in text
    for text in alerts(received, "observations revised"):
        assert f"{BAD}: 300 to 144, -52.0 %" in text
    assert events_of(served, publish(served)) == []


def test_same_trouble_after_its_end_is_reported_again(served: Serving, received: Received, exports: Exports) -> None:
    exports.blocks[BAD] = 300
    exports.write()
    run_id, _ = stopped_run(served)
    assert events_of(served, run_id) == ["hashpivot.data-quality.failed"]
    alerts(received, STOPPED, 2)
    heads = [ADDED, REVISED, STOPPED, HOLDS, "[news] hashpivot: 14 observations revised", STOPPED]
    for channel, came in messages(received).items():
        assert sorted(head for head, _ in came) == sorted(heads), channel
    assert {path for path, _ in received.webhook} == {WEBHOOK_PATH}


def test_nothing_secret_is_kept_or_printed(served: Serving) -> None:
    served.kill()  # so that no file changes or goes while it is read
    kept = [path for path in served.home.rglob("*") if path.is_file()]
    assert {"alerts.json", "prefect.db", "working.duckdb", "hashpivot.duckdb"} <= {path.name for path in kept}
    for secret in SECRETS:
        assert secret not in served.output
        assert [path for path in kept if secret.encode() in path.read_bytes()] == []
