"""A publication of an earlier moment: the same bytes as were published then, whatever was received since."""

import hashlib
import json
import shutil
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import polars as pl
import pytest

from flows.run import pipeline, plan, publish, rebuild
from flows.settings import Settings, read_profile, read_settings
from schemas.errors import SettingsError, WarehouseError
from schemas.observations import Batch, ObservedTable
from tests.invocation import Hashpivot
from warehouse.past import known_by, open_past
from warehouse.registry import load_registry
from warehouse.vintages import append
from warehouse.working import open_working

THEN = datetime(2026, 11, 19, 12, tzinfo=UTC)
LATER = datetime(2026, 11, 20, 12, tzinfo=UTC)
BETWEEN = datetime(2026, 11, 19, 18, tzinfo=UTC)
DAY = date(2026, 11, 18)


def publish_at(home: Path, now: datetime) -> None:
    pipeline.run_all(plan.plan(Settings(home=home), read_profile("demo"), day=DAY, now=now))


def revise_prices(home: Path) -> None:
    """The source halves the price of ten days, one day after it was published."""
    days = [date(2026, 11, n) for n in range(1, 11)]
    rows = pl.DataFrame({"series": "price_usd", "day": days, "value": 30_000.0})
    batch = Batch(
        source="simulated",
        table=ObservedTable.DAILY_VALUE,
        origin="a correction",
        sha256="0" * 64,
        observed_at=LATER,
        rows=rows,
    )
    with open_working(home / "warehouse" / "working.duckdb") as connection:
        assert append(connection, batch, "correction").revised_count == len(days)


def digests(folder: Path) -> dict[str, str]:
    files = (folder / "parquet").rglob("*.parquet")
    return {str(file.relative_to(folder / "parquet")): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One publication, kept aside, and a later one for which the source has changed what it had said."""
    home = tmp_path_factory.mktemp("rebuild")
    publish_at(home, THEN)
    (home / "published" / "versions").rename(home / "kept")
    (home / "published" / "current").unlink()
    revise_prices(home)
    publish.publish_run(plan.plan(Settings(home=home), read_profile("demo"), day=DAY, now=LATER))
    return home


def test_rebuilt_tables_have_the_bytes_that_were_published_then(home: Path) -> None:
    (kept,) = (home / "kept").iterdir()
    today = digests(home / "published" / "current")
    run = plan.plan_past(read_settings(home=home), read_profile("demo"), BETWEEN)
    rebuilt = rebuild.rebuild(run).database.parent
    assert digests(rebuilt) == digests(kept)
    assert digests(rebuilt)["capitulation_daily.parquet"] != today["capitulation_daily.parquet"]
    assert digests(home / "published" / "current") == today
    with duckdb.connect(str(rebuilt / "hashpivot.duckdb"), read_only=True) as reader:
        assert reader.execute("select count(*) from meta.revisions").fetchone() == (0,)


def test_command_rebuilds_and_shows_where(home: Path, hashpivot: Hashpivot) -> None:
    done = hashpivot("daily", "--as-of", "2026-11-19T18:00", "--home", str(home), "--json")
    assert done.returncode == 0, done.stderr
    shown = json.loads(done.stdout)
    assert shown["database"].endswith("rebuilt/20261119T180000Z/hashpivot.duckdb")
    assert shown["day"] == "2026-11-18"
    assert (shown["rebuilt_of"][:16], shown["differences"]) == ("20261119T1200000", [])


def test_moment_before_anything_was_received_has_nothing(home: Path) -> None:
    with open_past(home / "warehouse" / "working.duckdb", datetime(2026, 1, 1, tzinfo=UTC)) as past:
        assert past.execute("select count(*) from raw.block").fetchone() == (0,)
        assert past.execute("select count(*) from raw.latest_daily_value").fetchone() == (0,)


def test_moment_to_come_is_refused(home: Path) -> None:
    with pytest.raises(SettingsError, match="a moment in the past"):
        plan.plan_past(read_settings(home=home), read_profile("demo"), datetime(2100, 1, 1, tzinfo=UTC))


def test_home_without_a_database_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WarehouseError, match="found nothing"), open_past(tmp_path / "none.duckdb", THEN):
        pass


def test_registry_of_a_day_has_no_deal_that_was_announced_later() -> None:
    registry = load_registry()
    day = date(2025, 8, 14)
    known = known_by(registry, day)["conversion_deal"]
    assert 0 < known.height < registry["conversion_deal"].height
    assert known["announced_on"].max() <= day
    assert known_by(registry, date(2100, 1, 1))["conversion_deal"].height == registry["conversion_deal"].height


def test_what_cannot_be_made_as_it_was_is_stated(home: Path, tmp_path: Path) -> None:
    (tmp_path / "warehouse").mkdir()
    shutil.copy(home / "warehouse" / "working.duckdb", tmp_path / "warehouse")
    with open_working(tmp_path / "warehouse" / "working.duckdb") as connection:
        older = "update ops.applied_row set content = 'pool_daily.pool 0' where content = 'pool_daily.pool 1'"
        connection.execute(older)
        connection.execute("delete from ops.applied_row where name = 'registry'")
        connection.execute("delete from ops.applied_set where name = 'registry'")
    run = plan.plan_past(read_settings(home=tmp_path), read_profile("demo"), BETWEEN)
    registry, definitions, *_ = rebuild.rebuild(run).warnings
    assert registry.startswith("the registry of then was not recorded: used are those rows of the present one")
    assert definitions == "computed with present definitions, which differ from those of then: pool_daily.pool"
