"""What readers had on each of many days, rebuilt from the working database of the last: equal in every value."""

import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest

from flows.run import plan, rebuild
from flows.run.publish import Outcome
from tests.node.replay_node import ReplayNode
from tests.run.daily_sequence import (
    CHANGED,
    FIRST_DAY,
    RECORDED_DAYS,
    Daily,
    drawn_out,
    noon_after,
    published_meta,
    published_tables,
    run_sequence,
)

SHORT = {
    1: [Daily.revise, Daily.reorganise],
    2: [Daily.run_that_fails],
    3: [Daily.relabel, Daily.late_file, Daily.correct_registry],
}
LONG = {
    7: [Daily.revise],
    12: [Daily.reorganise],
    17: [Daily.relabel],
    21: [Daily.run_that_fails],
    25: [Daily.late_file],
    30: [Daily.correct_registry],
    33: [Daily.revise],
    35: [Daily.reorganise],
}
WITH_TRANSFERS = FIRST_DAY + timedelta(days=4)
"""A day of the recorded chain from which on every day has transfers."""
OF_THE_RUN = ("quality", "sources")
"""What a run states of itself: checks against the publication before, requests."""
RUN = """
from datetime import datetime
from pathlib import Path
from flows.run import pipeline, plan
from flows.settings import read_profile, read_settings
run = plan.plan(read_settings(home=Path("home")), read_profile("sequence.toml"), now=datetime.fromisoformat("{now}"))
pipeline.run_all(run)
"""
REBUILD = """
from datetime import datetime
from pathlib import Path
from flows.run import plan, rebuild
from flows.settings import read_profile, read_settings
moment = datetime.fromisoformat("{now}")
run = plan.plan_past(read_settings(home=Path("fresh")), read_profile("sequence.toml"), moment)
Path("{warnings}").write_text("\\n".join(rebuild.rebuild(run).warnings))
"""


@pytest.fixture
def sequence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Daily]]:
    """Run a sequence of so many days with what happens on them."""
    nodes = []

    def run(days: int, events: dict[int, list[Callable[..., object]]], first_day: date = FIRST_DAY) -> Daily:
        chain = drawn_out(max(days, RECORDED_DAYS))
        nodes.append(ReplayNode(tmp_path / "cookie", chain=chain))
        nodes[0].start()
        daily = Daily(tmp_path, nodes[0], chain, monkeypatch)
        run_sequence(daily, first_day, days, events)
        return daily

    yield run
    for node in nodes:
        node.stop()


def rebuilt(daily: Daily, moment: datetime) -> Outcome:
    """The publication of `moment` in a new home, which has a copy of the working database and nothing else."""
    fresh = daily.folder / "fresh"
    (fresh / "warehouse").mkdir(parents=True, exist_ok=True)
    shutil.copy(daily.home / "warehouse" / "working.duckdb", fresh / "warehouse")
    return rebuild.rebuild(plan.plan_past(daily.settings(fresh), daily.profile, moment))


def kept(daily: Daily, version: str) -> Path:
    return daily.home / "published" / "versions" / version


def differing_columns(then: Path, now: Path) -> set[tuple[str, str]]:
    """Tables and columns that differ in any value, or in their type or order of rows."""
    found = set()
    for of in (published_tables, published_meta):
        before, after = of(then), of(now)
        assert list(before) == list(after)
        for name, rows in before.items():
            if name not in OF_THE_RUN:
                assert after[name].schema == rows.schema, name
                assert after[name].height == rows.height, name
                found |= {(Path(name).stem, c) for c in rows.columns if not rows[c].equals(after[name][c])}
    return found


def test_what_was_published_before_each_kind_of_change_is_rebuilt_in_every_value(
    sequence: Callable[..., Daily],
) -> None:
    daily = sequence(4, SHORT, first_day=WITH_TRANSFERS)
    first, revised, relabelled, last = daily.kept
    failed_at = noon_after(WITH_TRANSFERS + timedelta(days=2))
    for version, moment in ((first, daily.kept[first]), (revised, failed_at), (relabelled, daily.kept[relabelled])):
        outcome = rebuilt(daily, moment)
        assert differing_columns(kept(daily, version), outcome.database.parent) == set()
        assert not [line for line in outcome.warnings if "present" in line]
    # Not for want of changes: the same days have other values now.
    assert "price_usd" in differing_columns_of_days(daily, first, revised)
    assert differing_columns_of_days(daily, revised, last) >= {"exchange_reserve_btc", "miner_to_exchange_btc"}
    counted = counted_revisions(kept(daily, last))
    for before, after in pairwise(daily.kept):
        assert counted[after].totals == changes(kept(daily, before), kept(daily, after)), after
    assert first not in counted
    assert counted[revised].reason("capitulation_daily", "price_usd") == {"source"}
    assert counted[revised].reason("capitulation_daily", "fees_btc") == {"re-organisation"}
    assert counted[relabelled].reason("capitulation_daily", "miner_to_exchange_btc") == {"labels"}
    assert counted[relabelled].reason("miner_transfer", None) == {"labels"}
    assert counted[last].reason("conversion_deal", "critical_it_mw") == {"registry"}
    for column in ("exchange_reserve_btc", "sources"):
        assert counted[last].reason("capitulation_daily", column) == {"source"}
    listed = published_meta(kept(daily, last))["revisions"].filter(pl.col("source") == "published")
    (deal,) = listed.filter(pl.col("item") == "conversion_deal.critical_it_mw").iter_rows(named=True)
    assert (deal["difference"], deal["reason"]) == (1.0, "registry")
    assert listed.height == sum(each.listed for each in counted.values())


@dataclass
class Counted:
    """What `meta.revision_counts` states of one run, by table and column."""

    totals: dict[tuple[str, str | None], int] = field(default_factory=dict)
    reasons: dict[tuple[str, str | None], set[str]] = field(default_factory=dict)
    listed: int = 0

    def reason(self, table: str, column: str | None) -> set[str]:
        return self.reasons.get((table, column), set())


def counted_revisions(version: Path) -> dict[str, Counted]:
    found: dict[str, Counted] = {}
    for row in published_meta(version)["revision_counts"].iter_rows(named=True):
        of_run, name = found.setdefault(row["run_id"], Counted()), (row["table_name"], row["column_name"])
        of_run.totals[name] = of_run.totals.get(name, 0) + row["value_count"]
        of_run.reasons.setdefault(name, set()).add(row["reason"])
        of_run.listed += row["listed_count"]
    return found


def changes(before: Path, after: Path) -> dict[tuple[str, str | None], int]:
    """By table and column, how many values of rows that both have differ, cell by cell; None: rows of only one."""
    found: Counter[tuple[str, str | None]] = Counter()
    keys = {row["table_name"]: row["key_columns"] for row in published_meta(after)["tables"].iter_rows(named=True)}
    for name, key_columns in keys.items():
        key = key_columns.split(", ") if key_columns else []
        old, new = (rows_by_key(version, name, key) for version in (before, after))
        if not key and [row["day"] for row in old.values()] != [row["day"] for row in new.values()]:
            continue  # the row of another day
        days = [row["day"] for row in old.values() if "day" in row]
        for place in old.keys() | new.keys():
            if place not in old or place not in new:
                is_new_day = place not in old and "day" in new[place] and (not days or new[place]["day"] > max(days))
                found[name, None] += 0 if is_new_day else 1
                continue
            for column, value in new[place].items():
                if column != "is_final" and value != old[place][column]:
                    found[name, column] += 1
    return {name: count for name, count in found.items() if count}


def rows_by_key(version: Path, table: str, key: list[str]) -> dict[tuple[object, ...], dict[str, object]]:
    files = [version / "parquet" / f"{table}.parquet", *sorted((version / "parquet" / table).glob("*.parquet"))]
    rows = [row for file in files if file.exists() for row in pl.read_parquet(file).iter_rows(named=True)]
    return {tuple(row[name] for name in key): row for row in rows}


def differing_columns_of_days(daily: Daily, earlier: str, later: str) -> set[str]:
    """Columns of the daily tables that the two versions state differently of the days that the earlier one has."""
    found = set()
    for name in ("capitulation_daily", "miner_flow_daily"):
        before, after = (published_tables(kept(daily, version))[f"{name}.parquet"] for version in (earlier, later))
        same_days = after.join(before.select("day"), on="day", how="semi")
        found |= {c for c in before.columns if not before[c].equals(same_days[c])}
    return found


@pytest.mark.long
def test_forty_daily_runs_are_rebuilt_in_every_value_and_another_definition_is_the_one_difference(
    sequence: Callable[..., Daily],
) -> None:
    daily = sequence(40, LONG)
    assert len(daily.kept) == 40
    for version, moment in daily.kept.items():
        outcome = rebuilt(daily, moment)
        assert differing_columns(kept(daily, version), outcome.database.parent) == set(), version
    code = daily.another_version()
    day = FIRST_DAY + timedelta(days=40)
    daily.advance(day)
    daily.run_another_version(code, RUN.format(now=noon_after(day).isoformat()))
    current = daily.home / "published" / "current"
    counted = counted_revisions(current)
    (*_, before), (*_, newest) = daily.kept, counted
    assert counted[newest].totals == changes(kept(daily, before), current)
    assert counted[newest].reason(*CHANGED) == {"definition"}
    assert [name for name, reasons in counted[newest].reasons.items() if "definition" in reasons] == [CHANGED]
    # The code of before still makes what it published.
    version, moment = list(daily.kept.items())[20]
    again = rebuilt(daily, moment).database.parent
    assert differing_columns(kept(daily, version), again) == set()
    shutil.rmtree(again)
    daily.run_another_version(code, REBUILD.format(now=moment.isoformat(), warnings="warnings"))
    differing = differing_columns(kept(daily, version), again)
    of_definitions = {
        ("columns", name) for name in ("definition_version", "definition_changed_on", "definition_change")
    }
    assert differing == {CHANGED, *of_definitions}
    warnings = (daily.folder / "warnings").read_text()
    assert "present definitions, which differ from those of then: pool_daily.block_share_pct" in warnings
    assert "present code, which differ from those of then: transforms/metrics/pools.py" in warnings
