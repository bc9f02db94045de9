"""What a day was when it was published first is kept whatever its source states later, and published beside today's."""

import shutil
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest

from flows.reports.backtest import lines, read_backtest
from flows.run import pipeline, plan, publish
from flows.settings import Settings, read_profile
from schemas.first_published import FIRST_PUBLISHED, KEPT
from schemas.observations import Batch, ObservedTable
from warehouse.first_published import add_first_published, first_published, recover_first_published
from warehouse.reading import query
from warehouse.vintages import append
from warehouse.working import open_working

DAY = date(2026, 11, 18)
THEN = datetime(2026, 11, 19, 12, tzinfo=UTC)
LATER = datetime(2026, 11, 20, 12, tzinfo=UTC)
ALWAYS = datetime(2100, 1, 1, tzinfo=UTC)
FAMILY = "simulated"
PRICE_USD = 61_234.0


def planned(home: Path, now: datetime) -> plan.Run:
    return plan.plan(Settings(home=home), read_profile("demo"), day=DAY, now=now)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose source has lowered the price of some published days since, and that has published that too."""
    home = tmp_path_factory.mktemp("first-published")
    pipeline.run_all(planned(home, THEN))
    days = [date(2026, 11, n) for n in range(1, 19)]
    batch = Batch(
        source="simulated",
        table=ObservedTable.DAILY_VALUE,
        origin="a correction",
        sha256="0" * 64,
        observed_at=LATER,
        rows=pl.DataFrame({"series": "price_usd", "day": days, "value": PRICE_USD}),
    )
    with open_working(home / "warehouse" / "working.duckdb") as connection:
        assert append(connection, batch, "correction").revised_count == len(days)
    publish.publish_run(planned(home, LATER))
    return home


@pytest.fixture
def working(home: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(home / "warehouse" / "working.duckdb", tmp_path))


def versions(home: Path) -> list[pl.DataFrame]:
    """The daily table of each version, the oldest first."""
    folders = sorted((home / "published" / "versions").glob("[!.]*"))
    return [pl.read_parquet(folder / "parquet" / "capitulation_daily.parquet") for folder in folders]


def test_kept_rows_are_those_of_the_first_publication(home: Path, working: Path) -> None:
    before, after = (each.filter(day=DAY).row(0, named=True) for each in versions(home))
    assert (before["price_usd"] != PRICE_USD, after["price_usd"]) == (True, PRICE_USD)
    with open_working(working) as connection:
        kept = first_published(connection, FAMILY, LATER)
        nothing = first_published(connection, "main", LATER)
    expected = versions(home)[0].drop_nulls("capitulation_state").select(FIRST_PUBLISHED.names())
    assert kept.select(FIRST_PUBLISHED.names()).equals(expected)
    assert kept["published_at"].unique().to_list() == [THEN.replace(tzinfo=None)]
    assert nothing.is_empty()
    assert nothing.schema == KEPT


def test_both_vintages_are_published(home: Path) -> None:
    """Of all days only the last was published before the end of the day after it."""
    sql = "select distinct covered_day_count, first_covered_on, last_covered_on from signal_first_published"
    assert query(home / "published", sql)[1] == [(1, DAY, DAY)]
    for version in sorted((home / "published" / "versions").glob("[!.]*")):
        rows = pl.read_parquet(version / "parquet" / "signal_first_published.parquet")
        assert rows["covered_day_count"].unique().to_list() == [1]


def test_back_test_prints_for_how_many_days_there_are_two_vintages(home: Path) -> None:
    printed = list(lines(read_backtest(home / "published", draws=1)))
    assert "As first published: 1 day was published by the end of the day after," in printed
    assert max(map(len, printed)) <= 80


def test_publication_beside_the_current_one_keeps_nothing(home: Path) -> None:
    past = plan.plan(Settings(home=home), read_profile("demo"), day=date(2026, 1, 16), now=LATER)
    publish.publish_run(plan.placed(past))
    rows = query(home / "rebuilt" / "2026-01-16", "select max(covered_day_count) from signal_first_published")[1]
    assert rows == [(0,)]


def test_kept_publications_bring_back_what_is_lost(home: Path, working: Path) -> None:
    with open_working(working) as connection:
        before = first_published(connection, FAMILY, LATER)
        connection.execute("delete from ops.first_published")
        recover_first_published(connection, home / "published", family="main", now=ALWAYS)
        assert first_published(connection, "main", ALWAYS).is_empty()
        recover_first_published(connection, home / "published", family=FAMILY, now=ALWAYS)
        again = first_published(connection, FAMILY, ALWAYS)
        runs = connection.execute("select distinct run_id from ops.first_published").fetchall()
    assert again.drop("published_at").equals(before.drop("published_at"))
    assert runs == [(min(path.name for path in (home / "published" / "versions").glob("[!.]*")),)]


def test_rows_of_a_clock_that_was_ahead_make_room(working: Path, home: Path) -> None:
    days = versions(home)[1]
    with open_working(working) as connection:
        connection.execute("delete from ops.first_published")
        add_first_published(connection, days, family=FAMILY, published_at=ALWAYS, run_id="ahead")
        assert first_published(connection, FAMILY, LATER).is_empty()
        add_first_published(connection, days, family=FAMILY, published_at=LATER, run_id="right")
        kept = first_published(connection, FAMILY, ALWAYS)
    assert kept["published_at"].unique().to_list() == [LATER.replace(tzinfo=None)]
