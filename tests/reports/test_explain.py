"""Figures of thirty days, of a price and of many transfers, explained from stored blocks without any node."""

import json
import re
import shutil
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from flows.reports.explain import Explanation, explain
from flows.run.plan import plan
from flows.run.publish import publish_run
from flows.settings import read_profile, read_settings
from schemas.observations import BLOCK, DAILY_VALUE, MINER_BLOCK_FLOW, MINER_TRANSFER, Batch, ObservedTable
from schemas.units import SAT_PER_BTC
from tests.invocation import invoke
from warehouse import vintages
from warehouse.reading import query
from warehouse.working import open_working

FIRST = date(2026, 1, 1)
DAYS_COUNT = 45
BLOCKS_A_DAY = 144
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
UNSEEN_DAY = FIRST + timedelta(days=20)
"""A day of which one block was not attributed."""
BUSY_DAY = FIRST + timedelta(days=30)
BUSY_COUNT = 1_300
LAST = FIRST + timedelta(days=DAYS_COUNT - 1)
LABELS = "00ff00ff00ff00ff"
PRICE_USD = 61_234.5


def block_hash(height: int) -> str:
    return f"{height:064x}"


def day_of(height: int) -> date:
    return FIRST + timedelta(days=height // BLOCKS_A_DAY)


def transfers_of(height: int) -> list[tuple[object, ...]]:
    """One in each block of most days, many in one block of a busy one; amounts that no two of them share."""
    many = height == (BUSY_DAY - FIRST).days * BLOCKS_A_DAY
    rows = []
    for number in range(BUSY_COUNT if many else 1):
        sat = 1_000_003 + 7 * height + 31 * number
        name = f"{height:032x}{number:032x}"
        pool, exchange = ("antpool", "f2pool")[number % 2], ("binance", "kraken")[number % 2]
        rows.append((height, block_hash(height), name, exchange, pool, 0, sat, sat // 3, sat, sat, "A", LABELS))
    return rows


def frame(rows: list[tuple[object, ...]], schema: object) -> pl.DataFrame:
    types = {name: column.dtype.type for name, column in schema.columns.items()}  # type: ignore[attr-defined]
    return pl.DataFrame(rows, schema=types, orient="row")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose home, `data`, holds what a node and a vendor of prices stated of forty-five days."""
    folder = tmp_path_factory.mktemp("month")
    heights = range(DAYS_COUNT * BLOCKS_A_DAY + 7)
    start = datetime.combine(FIRST, datetime.min.time(), UTC)
    blocks = [(h, start + timedelta(minutes=10 * h), 1.0, 50 * SAT_PER_BTC, 9_999, "antpool") for h in heights]
    seen = [h for h in heights if h != (UNSEEN_DAY - FIRST).days * BLOCKS_A_DAY + 5]
    transfers = [row for h in seen for row in transfers_of(h)]
    flows = []
    for h in seen:
        sent = sum(row[6] for row in transfers_of(h))  # type: ignore[misc]
        flows.append((h, block_hash(h), "antpool", sent + h, 1, [sent + h], 50 * SAT_PER_BTC, 11, 3, h % 5, LABELS))
    prices = [("price_usd", FIRST + timedelta(days=n), PRICE_USD + n) for n in range(DAYS_COUNT)]
    settings = read_settings(home=folder / "data", profile="node")
    settings._variables["HASHPIVOT_NODE_CHAIN"] = "regtest"
    run = plan(settings, read_profile("node"), now=NOW)
    with open_working(settings.working_database) as connection:
        for source, table, rows in (
            ("node", ObservedTable.MINER_TRANSFER, frame(transfers, MINER_TRANSFER)),
            ("node", ObservedTable.MINER_BLOCK_FLOW, frame(flows, MINER_BLOCK_FLOW)),
            ("node", ObservedTable.BLOCK, frame(blocks, BLOCK)),
            ("coinmetrics", ObservedTable.DAILY_VALUE, frame(prices, DAILY_VALUE)),
        ):
            batch = Batch(source=source, table=table, origin="by hand", sha256="", observed_at=NOW, rows=rows)
            vintages.append(connection, batch, run.run_id)
    publish_run(run)
    return folder


def explained(folder: Path, table: str, column: str, day: date, **key: str) -> Explanation:
    home = folder / "data"
    return explain(home / "published", home / "warehouse" / "working.duckdb", table, column, day, key)


def figure(folder: Path, column: str, day: date) -> float:
    sql = f"select {column} from capitulation_daily where day = '{day}'"
    return float(query(folder / "data" / "published", sql)[1][0][0])


def sent_sat(*days: date) -> int:
    wanted = set(days)
    heights = (h for h in range(DAYS_COUNT * BLOCKS_A_DAY) if day_of(h) in wanted)
    return sum(row[6] for h in heights for row in transfers_of(h))  # type: ignore[misc]


def test_thirty_days_are_the_sum_of_their_transfers(folder: Path) -> None:
    days = [FIRST + timedelta(days=n) for n in range(DAYS_COUNT)]
    found = explained(folder, "capitulation_daily", "miner_to_exchange_30d_btc", LAST)
    known = [day for day in days[-30:] if day != UNSEEN_DAY]
    assert len(known) == 29
    assert sum(part["amount_sat"] for part in found.parts) == found.amount_sat == sent_sat(*known)
    assert found.figure * SAT_PER_BTC == pytest.approx(found.amount_sat * 30 / 29, abs=0.5)
    assert found.how.endswith(f"from {days[-30]} to {LAST}, times 30 over the 29 days that are known")


def test_largest_of_thirty_days_is_the_sum_of_the_transfers_of_its_day(folder: Path) -> None:
    found = explained(folder, "capitulation_daily", "miner_to_exchange_max_30d_btc", LAST)
    assert round(found.figure * SAT_PER_BTC) == found.amount_sat == sent_sat(BUSY_DAY)
    assert {part["day"] for part in found.parts} == {BUSY_DAY}
    assert f"on {BUSY_DAY}, the largest day of 30" in found.how


def test_outflow_in_usd_is_that_of_its_blocks_at_the_price_of_the_day(folder: Path) -> None:
    found = explained(folder, "capitulation_daily", "miner_outflow_usd", LAST)
    price_usd = PRICE_USD + DAYS_COUNT - 1
    assert found.figure == pytest.approx(found.amount_sat / SAT_PER_BTC * price_usd)
    assert round(figure(folder, "miner_outflow_btc", LAST) * SAT_PER_BTC) == found.amount_sat
    assert f"at {price_usd:,.2f} USD" in found.how


def test_coinbases_that_pay_an_exchange_are_listed_by_block(folder: Path) -> None:
    found = explained(folder, "miner_flow_daily", "coinbase_direct_to_exchange_btc", LAST)
    heights = [h for h in range(DAYS_COUNT * BLOCKS_A_DAY) if day_of(h) == LAST and h % 5]
    assert sorted((part["height"], part["amount_sat"]) for part in found.parts) == [(h, h % 5) for h in heights]
    assert round(found.figure * SAT_PER_BTC) == found.amount_sat


def test_a_busy_day_is_a_screen_and_not_a_thousand_lines(folder: Path) -> None:
    arguments = ("explain", "capitulation_daily", "miner_to_exchange_btc", str(BUSY_DAY))
    done = invoke(folder, *arguments)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) < 40
    count = BUSY_COUNT + BLOCKS_A_DAY - 1
    largest = [line.split()[1] for line in lines if line.startswith("    transaction ")]
    assert len(largest) == 10
    assert f"and {count - 10:,} more transfers of" in done.stdout
    assert lines[-1].startswith("addresses: not stored; set HASHPIVOT_NODE_URL")
    whole = json.loads(invoke(folder, *arguments, "--json").stdout)
    assert len(whole["transfers"]) == count
    assert sum(each["amount_sat"] for each in whole["transfers"]) == whole["amount_sat"] == sent_sat(BUSY_DAY)
    assert [each["txid"] for each in whole["transfers"][:10]] == largest


def test_a_vendors_total_is_no_sum_of_transactions_but_what_it_stated(published_demo: Path, tmp_path: Path) -> None:
    shutil.copytree(published_demo.parent, tmp_path / "data", symlinks=True)
    for column in ("miner_to_exchange_btc", "miner_outflow_btc"):
        done = invoke(tmp_path, "explain", "capitulation_daily", column, "2026-11-01")
        assert done.returncode == 0, done.stderr
        assert "transaction " not in done.stdout
        series = column.replace("_btc", "_sat")
        assert re.search(rf"{series}: ([\d,.]+)\n  simulated: \1, stated\n", done.stdout), done.stdout
