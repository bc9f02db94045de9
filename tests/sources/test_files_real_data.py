"""The source `files` on real exports, where they are at hand: the figures the vendors' own files lead to."""

from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest

from flows.sources.files.folder import Files
from flows.sources.protocol import Request
from schemas.observations import Batch, Notice, ObservedTable
from schemas.units import SAT_PER_BTC

NOW = datetime(2026, 11, 22, tzinfo=UTC)
JANUARY_2026 = pl.col("day").is_between(date(2026, 1, 1), date(2026, 1, 31))

Observed = tuple[list[Batch], list[Notice]]


@pytest.fixture(scope="module")
def observed(shared_data: Path) -> Observed:
    request = Request(since=None, through=NOW.date(), now=NOW)
    observed = list(Files(shared_data).observe(request))
    return [each for each in observed if isinstance(each, Batch)], [
        each for each in observed if isinstance(each, Notice)
    ]


@pytest.fixture(scope="module")
def values(observed: Observed) -> pl.DataFrame:
    """One row a source, series and day."""
    daily = [batch for batch in observed[0] if batch.table is ObservedTable.DAILY_VALUE]
    return pl.concat(batch.rows.with_columns(source=pl.lit(batch.source)) for batch in daily)


@pytest.fixture(scope="module")
def blocks(observed: Observed) -> pl.DataFrame:
    return next(batch.rows for batch in observed[0] if batch.table is ObservedTable.BLOCK)


def one(values: pl.DataFrame, source: str, series: str) -> pl.DataFrame:
    return values.filter(source=source, series=series).select("day", "value")


def test_partial_last_row_of_coin_metrics_is_dropped_and_named(values, observed):
    assert values.filter(source="coinmetrics_export")["day"].max() == date(2026, 3, 22)
    about = [notice.message for notice in observed[1] if notice.source == "coinmetrics_export"]
    assert any("2026-03-23 dropped" in message for message in about)


def test_flows_of_cryptoquant_end_with_the_last_whole_day(values, observed):
    ends = values.filter(source="cryptoquant_export").group_by("series").agg(pl.col("day").max())
    assert ends["day"].unique().to_list() == [date(2026, 4, 10)]
    assert sum("2026-04-11 dropped" in notice.message for notice in observed[1]) == 13


def test_all_series_the_files_hold_are_stated(values):
    counts = dict(values.group_by("source").agg(pl.col("series").n_unique()).iter_rows())
    assert counts == {"coinmetrics_export": 10, "cryptoquant_export": 18}


def test_miners_sent_this_much_to_exchanges_in_january_2026(values):
    sent = one(values, "cryptoquant_export", "miner_to_exchange_sat").filter(JANUARY_2026)["value"] / SAT_PER_BTC
    assert sent.sum() == pytest.approx(177_274, abs=1)
    assert sent.max() == pytest.approx(10_026, abs=1)


def test_both_vendors_counted_the_same_blocks_in_january_2026(values):
    ours, theirs = (
        one(values, source, "block_count").filter(JANUARY_2026)["value"]
        for source in ("coinmetrics_export", "cryptoquant_export")
    )
    assert len(ours) == len(theirs) == 31
    assert ours.sum() == pytest.approx(theirs.sum(), abs=3)


def test_hash_rates_of_both_vendors_agree_once_in_one_unit(values):
    both = one(values, "coinmetrics_export", "reported_hashrate_ehs").join(
        one(values, "cryptoquant_export", "reported_hashrate_ehs"), on="day", suffix="_other"
    )
    assert both.height > 6_000
    gap = both.select((pl.col("value") / pl.col("value_other") - 1).abs().median()).item()
    assert gap < 0.001


def test_supply_is_exact_to_the_satoshi(values):
    supply = one(values, "coinmetrics_export", "supply_sat")["value"]
    assert supply.max() < 21_000_000 * SAT_PER_BTC
    assert (supply == supply.round(0)).all()


def test_series_begin_with_their_first_value_above_zero(values):
    for source in ("coinmetrics_export", "cryptoquant_export"):
        flows = one(values, source, "exchange_inflow_sat").sort("day")
        assert flows["value"][0] > 0
        assert flows["day"][0].year == 2012


def test_blocks_a_day_agree_with_the_block_count(values, blocks):
    by_day = blocks.group_by(pl.col("block_at").dt.date().alias("day")).len()
    # The first and the last day of the file are not whole.
    whole = by_day.filter(pl.col("day").is_between(pl.col("day").min(), pl.col("day").max(), closed="none"))
    both = whole.join(one(values, "coinmetrics_export", "block_count"), on="day")
    assert both.height > 1_800
    assert both["len"].sum() == pytest.approx(both["value"].sum(), rel=0.0001)
    assert both.select(((pl.col("len") / pl.col("value") - 1).abs() < 0.01).mean()).item() > 0.9
    assert both.select((pl.col("len") / pl.col("value") - 1).abs().mean()).item() < 0.01


def test_header_times_that_step_backward_are_kept(blocks):
    assert blocks.height == 282_174
    assert blocks["height"].is_sorted()
    assert (blocks["block_at"].diff().dt.total_seconds() < 0).sum() == 1_207


def test_pools_go_by_display_name(blocks):
    pools = set(blocks["pool"].unique())
    assert "F2Pool" in pools
    assert "f2pool" not in pools


def test_files_of_other_kinds_are_reported(observed):
    unknown = {notice.origin for notice in observed[1] if notice.source == "files"}
    assert {"README.md", "pools/pools.json", "mempool/api_docs_examples", "raw_blocks/bitcoin-etl"} <= unknown
    assert "pool_blocks/lookup_slug_to_name.json" not in unknown
