"""A source that stopped is reported wherever a run ends: exit, log, summary, state, tables, doctor, alert."""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from flows.reports import alerts
from flows.reports.alert_state import AlertState, read_reached
from tests.invocation import invoke, last_final_day
from tests.replay import ReplayServer
from tests.replay.sites.coinmetrics import FIRST_DAY, ONLY_COINMETRICS, CoinMetricsReplay

TIME_SCALE = 0.1


@dataclass(frozen=True)
class Stopped:
    """A finished run whose only source ended on `last_day`."""

    folder: Path
    done: subprocess.CompletedProcess[str]
    last_day: date
    settings: dict[str, str]

    @property
    def days_behind(self) -> int:
        return (last_final_day() - self.last_day).days

    def rows(self, statement: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = json.loads(invoke(self.folder, "sql", statement, "--json").stdout)
        return rows


LAST_DAYS = {
    "60 days short": last_final_day() - timedelta(days=60),
    "100 days of 2009": FIRST_DAY + timedelta(days=99),
}


@pytest.fixture(scope="module", params=list(LAST_DAYS))
def stopped(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stopped]:
    site = CoinMetricsReplay()
    site.through = last_day = LAST_DAYS[request.param]
    folder = tmp_path_factory.mktemp("stopped")
    (folder / "mine.toml").write_text(ONLY_COINMETRICS, encoding="utf-8")
    with ReplayServer([site], time_scale=TIME_SCALE) as server:
        settings = server.settings() | {"HASHPIVOT_PROFILE": "mine.toml"}
        yield Stopped(folder, invoke(folder, "daily", **settings), last_day, settings)


def test_run_states_it_in_its_log_its_state_and_its_summary(stopped: Stopped) -> None:
    assert stopped.done.returncode == 0, stopped.done.stderr
    reached = f"{stopped.last_day}, {stopped.days_behind:,} days behind"
    late = f"coinmetrics {stopped.days_behind:,} days (2 allowed)"
    lines = stopped.done.stderr.splitlines()
    assert [line for line in lines if "WARNING" in line and f"published {reached}; late: {late}" in line]
    assert [line for line in lines if "WARNING" in line and "coinmetrics: newest day is in time: " in line]
    assert [line for line in lines if f"Completed('published {reached}; late: {late}" in line]
    shown = " ".join(stopped.done.stdout.split())
    assert f"Data up to {reached}; the run is of {last_final_day()} Late: {late}" in shown
    assert "warning: coinmetrics: newest day is in time: " in shown


def test_tables_and_quality_state_it(stopped: Stopped) -> None:
    series = stopped.rows("select distinct last_day, days_behind, is_late from meta.freshness where subject = 'source'")
    assert {"last_day": str(stopped.last_day), "days_behind": stopped.days_behind, "is_late": True} in series
    (column,) = stopped.rows("select * from meta.freshness where column_name = 'block_count' and is_late")
    assert (column["source"], column["series"], column["last_day"]) == (
        "coinmetrics",
        "block_count",
        str(stopped.last_day),
    )
    (check,) = stopped.rows(
        "select severity, passed, value from meta.quality where check_name like 'coinmetrics: new%'"
    )
    assert check == {"severity": "warning", "passed": False, "value": stopped.days_behind}
    (table,) = stopped.rows("select described_until from meta.tables where table_name = 'capitulation_daily'")
    assert table == {"described_until": str(stopped.last_day)}
    (market,) = stopped.rows(f"select bool_or(is_final) as any from conversion_daily where day > '{stopped.last_day}'")
    assert market == {"any": False}


def test_doctor_and_a_program_that_reads_the_result_are_given_it(stopped: Stopped) -> None:
    examined = invoke(stopped.folder, "doctor", "--json", **stopped.settings)
    assert examined.returncode == 1
    (finding,) = [row for row in json.loads(examined.stdout) if row["what"] == "freshness"]
    assert finding["state"] == "PROBLEM"
    assert f"data up to {stopped.last_day}, {stopped.days_behind:,} days behind; late: coinmetrics" in finding["found"]
    again = invoke(stopped.folder, "daily", "--plain", "--json", **stopped.settings)
    late = {"coinmetrics": {"days_behind": stopped.days_behind, "allowed_lag_days": 2}}
    assert json.loads(again.stdout)["freshness"] == {
        "described_until": str(stopped.last_day),
        "days_behind": stopped.days_behind,
        "late": late,
    }


def test_alert_looks_at_the_data_and_not_at_the_day_of_the_run(stopped: Stopped) -> None:
    now, limit = datetime.now(UTC), timedelta(hours=240)
    reached = read_reached(stopped.folder / "data" / "published", "mine", now)
    assert reached is not None
    (alert,) = alerts.late(AlertState(), reached, now, limit)
    assert alert.title == "Data is late"
    assert f"data up to {stopped.last_day}" in alert.text
    after = alerts.state_after_late(AlertState(), reached, now, limit)
    assert alerts.late(after, reached, now, limit) == []
