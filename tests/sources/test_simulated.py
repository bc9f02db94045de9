"""The simulated chain keeps the rules of the real one, follows its scenario, and never changes a past day."""

import math
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from flows.sources.protocol import Request, Source
from flows.sources.simulated.chain import Simulated
from flows.sources.simulated.scenario import SCENARIO
from schemas.errors import SettingsError
from schemas.observations import Batch, ObservedTable
from schemas.series import SERIES

NOW = datetime(2026, 11, 22, 7, 30, tzinfo=UTC)
YESTERDAY = date(2026, 11, 21)

PERIOD_BLOCKS = 2_016
COMPACT_ROUNDING = 2**-15
CHAIN_SERIES = {"block_count", "issuance_sat", "fees_sat", "difficulty"}

Tables = dict[ObservedTable, pl.DataFrame]


def batches_of(source: Source, *, now=NOW, since=None, through=None) -> list[Batch]:
    return list(source.observe(Request(since=since, through=through or now.date(), now=now)))


def tables_of(source: Source, **request) -> Tables:
    return {batch.table: batch.rows for batch in batches_of(source, **request)}


@pytest.fixture(scope="module")
def demo() -> Tables:
    return tables_of(Simulated())


@pytest.fixture(scope="module")
def whole() -> Tables:
    return tables_of(Simulated.whole_chain())


@pytest.fixture(scope="module")
def blocks(demo) -> pl.DataFrame:
    return demo[ObservedTable.BLOCK]


@pytest.fixture(scope="module")
def days(demo) -> pl.DataFrame:
    """One row a whole day: a column a series, and the hash rate that its blocks show."""
    daily = demo[ObservedTable.DAILY_VALUE].pivot(on="series", index="day", values="value")
    work = (
        demo[ObservedTable.BLOCK]
        .group_by(pl.col("block_at").cum_max().dt.date().alias("day"))
        .agg((pl.col("difficulty").sum() * 2**32 / 86_400 / 1e18).alias("hashrate_ehs"))
    )
    return daily.join(work, on="day", how="left", validate="1:1").sort("day")


def headers_s(blocks: pl.DataFrame) -> np.ndarray:
    return blocks["block_at"].dt.epoch("s").to_numpy()


def passes_median_time_past(header_s: np.ndarray) -> np.ndarray:
    """The rule as consensus states it, for every block with eleven before it."""
    earlier = np.lib.stride_tricks.sliding_window_view(header_s[:-1], 11)
    return header_s[11:] > np.median(earlier, axis=1)


def breaks_of_the_retarget_rule(blocks: pl.DataFrame) -> list[int]:
    """First heights of the periods whose difficulty does not follow from the headers before, recomputed in floats."""
    header_s, hard = headers_s(blocks), blocks["difficulty"].to_numpy()
    broken = []
    for first in range(PERIOD_BLOCKS, blocks.height, PERIOD_BLOCKS):
        timespan_s = header_s[first - 1] - header_s[first - PERIOD_BLOCKS]
        factor = 1_209_600 / min(max(timespan_s, 302_400), 4_838_400)
        expected = max(hard[first - 1] * factor, 1.0)
        # A compact target is cut down, so the difficulty can only be rounded up.
        if not expected * (1 - 1e-9) <= hard[first] <= expected * (1 + COMPACT_ROUNDING):
            broken.append(int(blocks["height"][first]))
    return broken


def falls(values: list[float], *, by: float, again_above: float) -> int:
    """How often a line loses the part `by` of its last peak; a new fall needs a return to the part `again_above`."""
    count, peak, fallen = 0, 0.0, False
    for value in values:
        peak = max(peak, value)
        if not fallen and value <= (1 - by) * peak:
            count, fallen, peak = count + 1, True, peak
        elif fallen and value >= again_above * peak:
            fallen = False
    return count


# What comes out


def test_all_batches_are_marked_as_simulated():
    source = Simulated(seed=7)
    batches = batches_of(source)
    assert source.name == "simulated"
    tables = [ObservedTable.BLOCK, ObservedTable.DAILY_VALUE, ObservedTable.EXCHANGE_FLOW]
    assert [batch.table for batch in batches] == tables
    assert {batch.source for batch in batches} == {"simulated"}
    assert {batch.origin for batch in batches} == {"simulated:seed=7"}
    assert {batch.observed_at for batch in batches} == {NOW}
    pools = set(batches[0].rows["pool"].unique()) | set(batches[2].rows["pool"].unique())
    assert all(pool.startswith("sim-") for pool in pools - {"unknown"})
    assert all(exchange.startswith("sim-") for exchange in batches[2].rows["exchange"].unique())


def test_the_digest_differs_between_two_results():
    first, again, other = (batches_of(Simulated(seed=seed), now=datetime(2020, 1, 1, tzinfo=UTC)) for seed in (7, 7, 8))
    assert [batch.sha256 for batch in first] == [batch.sha256 for batch in again]
    assert not {batch.sha256 for batch in first} & {batch.sha256 for batch in other}


def test_the_demo_covers_seven_years_without_a_gap(demo, blocks):
    assert (blocks["height"].diff().drop_nulls() == 1).all()
    assert blocks["height"][0] == 600_768
    flows_days = demo[ObservedTable.EXCHANGE_FLOW]["day"].unique()
    assert flows_days.len() == (YESTERDAY - date(2019, 10, 24)).days + 1 >= 7 * 365
    days_by_series = demo[ObservedTable.DAILY_VALUE].group_by("series").agg(pl.col("day").n_unique())
    assert set(days_by_series["day"]) == {flows_days.len()}


def test_what_blocks_already_state_is_no_daily_value(demo):
    series = set(demo[ObservedTable.DAILY_VALUE]["series"].unique())
    assert series <= set(SERIES)
    assert not series & CHAIN_SERIES
    assert {"price_usd", "miner_to_exchange_sat", "exchange_outflow_sat"} <= series


# The range


def test_no_row_lies_after_now(blocks, demo):
    assert blocks["block_at"].max() <= NOW
    assert blocks["block_at"].max() > NOW - timedelta(hours=4)
    assert demo[ObservedTable.DAILY_VALUE]["day"].max() == YESTERDAY
    assert demo[ObservedTable.EXCHANGE_FLOW]["day"].max() == YESTERDAY


def test_a_clock_that_runs_ahead_puts_no_header_after_now_and_no_hole_before_it(blocks):
    header_at = blocks["block_at"].head(20_000)
    overtaken = np.flatnonzero((header_at.diff().shift(-1) < timedelta(0)).fill_null(False).to_numpy())
    for index in overtaken[:10].tolist():
        # The next block is found already, but this one claims to come a second later.
        seen = tables_of(Simulated(), now=header_at[index] - timedelta(seconds=1))[ObservedTable.BLOCK]
        assert_frame_equal(seen, blocks.head(index))


def test_since_and_through_are_respected():
    since, through = date(2020, 3, 1), date(2020, 4, 10)
    tables = tables_of(Simulated(), now=datetime(2020, 5, 1, tzinfo=UTC), since=since, through=through)
    for table in (ObservedTable.DAILY_VALUE, ObservedTable.EXCHANGE_FLOW):
        assert tables[table]["day"].min() == since
        assert tables[table]["day"].max() == through
    latest_at = tables[ObservedTable.BLOCK]["block_at"].cum_max()
    assert latest_at.min().date() == since
    assert (tables[ObservedTable.BLOCK]["height"].diff().drop_nulls() == 1).all()


def test_a_header_that_steps_back_over_midnight_makes_no_hole(blocks):
    own_day, latest_day = blocks["block_at"].dt.date(), blocks["block_at"].cum_max().dt.date()
    index = int((own_day < latest_day).arg_max())
    assert own_day[index] < latest_day[index]
    late = tables_of(Simulated(), since=latest_day[index])[ObservedTable.BLOCK]
    assert_frame_equal(late, blocks.tail(late.height))
    assert late["height"][0] <= blocks["height"][index]


def test_since_leaves_out_and_changes_nothing(demo, blocks):
    since = date(2026, 9, 1)
    late = tables_of(Simulated(), since=since)
    assert_frame_equal(late[ObservedTable.BLOCK], blocks.tail(late[ObservedTable.BLOCK].height))
    for table in (ObservedTable.DAILY_VALUE, ObservedTable.EXCHANGE_FLOW):
        assert_frame_equal(late[table], demo[table].filter(pl.col("day") >= since))


def test_before_the_first_day_there_is_nothing():
    assert batches_of(Simulated(), now=datetime(2019, 10, 23, 23, tzinfo=UTC)) == []


def test_the_first_hours_hold_blocks_but_no_whole_day():
    assert list(tables_of(Simulated(), now=datetime(2019, 10, 24, 6, tzinfo=UTC))) == [ObservedTable.BLOCK]


# The same again


def test_the_same_seed_gives_the_same_rows(demo):
    for table, rows in tables_of(Simulated()).items():
        assert_frame_equal(rows, demo[table])


def test_another_seed_gives_other_rows(demo):
    other = tables_of(Simulated(seed=8))
    assert all(not rows.equals(demo[table]) for table, rows in other.items())


@pytest.mark.parametrize(
    "now",
    [datetime(2022, 7, 3, 15, 20, tzinfo=UTC), datetime(2025, 10, 18, tzinfo=UTC), NOW - timedelta(minutes=50)],
    ids=["years before", "400 days before", "an hour before"],
)
def test_a_later_run_only_adds_rows(now, demo):
    for table, rows in tables_of(Simulated(), now=now).items():
        assert_frame_equal(rows, demo[table].head(rows.height))


def test_a_later_run_of_the_whole_chain_only_adds_rows(whole):
    for table, rows in tables_of(Simulated.whole_chain(), now=NOW - timedelta(days=400)).items():
        assert_frame_equal(rows, whole[table].head(rows.height))


# Consensus


def test_difficulty_follows_from_the_headers_at_every_boundary(blocks):
    assert blocks.height > 180 * PERIOD_BLOCKS
    assert breaks_of_the_retarget_rule(blocks) == []


def test_difficulty_is_constant_within_a_period(blocks):
    kinds = blocks.group_by(pl.col("height") // PERIOD_BLOCKS).agg(pl.col("difficulty").n_unique())
    assert set(kinds["difficulty"]) == {1}


def test_no_block_claims_more_than_its_subsidy_and_few_claim_less(blocks):
    allowed_sat = (
        pl.when(pl.col("height") < 630_000)
        .then(1_250_000_000)
        .when(pl.col("height") < 840_000)
        .then(625_000_000)
        .otherwise(312_500_000)
    )
    unclaimed_sat = blocks.select(allowed_sat - pl.col("subsidy_claimed_sat")).to_series()
    assert unclaimed_sat.min() == 0
    assert 1 <= (unclaimed_sat > 0).sum() <= 60
    assert unclaimed_sat.max() <= 1_000


def test_halvings_fall_in_the_springs_of_2020_and_2024(blocks):
    halving_at = blocks.filter(pl.col("height").is_in([630_000, 840_000]))["block_at"]
    assert [(at.year, at.month) for at in halving_at] == [(2020, 5), (2024, 4)]


def test_every_header_passes_the_median_time_past_rule(blocks):
    assert passes_median_time_past(headers_s(blocks)).all()


def test_headers_step_backward_about_as_often_as_on_mainnet(blocks):
    # Mainnet: 1,207 of 282,174 blocks, 4.3 per mille.
    steps_s = np.diff(headers_s(blocks))
    assert 0.003 <= (steps_s < 0).mean() <= 0.006
    # An honest clock is never early, so no header can be two hours before an earlier one.
    assert steps_s.min() > -7_200


# Luck


def test_intervals_between_blocks_are_exponential(blocks):
    calm = blocks.filter(
        pl.col("block_at").is_between(datetime(2022, 12, 1, tzinfo=UTC), datetime(2024, 3, 1, tzinfo=UTC))
    )
    steps_s = calm.select(
        (pl.col("block_at").diff().dt.total_seconds() / pl.col("block_at").diff().dt.total_seconds().mean())
        .over(pl.col("height") // PERIOD_BLOCKS)
    ).drop_nulls().to_series().sort().to_numpy()  # fmt: skip
    rank = np.arange(1, steps_s.size + 1) / steps_s.size
    distance = np.abs(rank - (1 - np.exp(-np.maximum(steps_s, 0)))).max()
    # Luck alone stays below 1.63 / sqrt(n) in 99 of 100 cases; one per cent more for clocks that run ahead.
    assert distance < 1.63 / math.sqrt(steps_s.size) + 0.01


def test_a_block_takes_about_ten_minutes(blocks):
    # A little less, because the hash rate grows and difficulty follows late.
    assert 588 < np.diff(headers_s(blocks)).mean() < 600


def test_the_first_difficulty_fits_the_hash_rate_of_the_first_day(blocks):
    # Luck of 2,016 blocks has a standard deviation of 2.2 per cent.
    first_period = blocks["block_at"][PERIOD_BLOCKS - 1] - blocks["block_at"][0]
    assert 0.92 < first_period / timedelta(days=14) < 1.08


def test_daily_block_counts_scatter_like_luck(blocks):
    counts = blocks.group_by(pl.col("block_at").cum_max().dt.date()).len().sort("block_at")["len"][1:-1]
    # Twelve a day from luck, somewhat more from growth that difficulty has not met yet.
    assert 11.5 < counts.std() < 18


# The story


def test_the_price_halves_at_least_twice_within_months_and_comes_back(days):
    price_usd = days["price_usd"].to_list()
    assert falls(price_usd, by=0.5, again_above=0.75) >= 2
    peaks_usd = days["price_usd"].rolling_max(150)
    assert (days["price_usd"] < 0.5 * peaks_usd).any()


@pytest.mark.parametrize(
    ("before", "trough", "after"),
    [
        (date(2022, 5, 5), date(2022, 8, 20), date(2022, 11, 20)),
        (date(2025, 11, 21), date(2026, 3, 25), date(2026, 7, 25)),
    ],
    ids=["2022", "2026"],
)
def test_a_capitulation_costs_a_fifth_to_a_third_of_the_hash_rate_and_heals(days, before, trough, after):
    smooth = days.with_columns(pl.col("hashrate_ehs").rolling_mean(14))
    level = {day: smooth.filter(pl.col("day") == day)["hashrate_ehs"].item() for day in (before, trough, after)}
    assert -0.36 <= level[trough] / level[before] - 1 <= -0.2
    assert level[after] > 0.9 * level[before]


def test_one_outage_has_no_reason_in_the_price(days):
    smooth = days.with_columns(pl.col("hashrate_ehs").rolling_mean(14), pl.col("price_usd").rolling_mean(14))
    before, during, after = (
        smooth.filter(pl.col("day") == day).row(0, named=True)
        for day in (date(2025, 1, 13), date(2025, 2, 20), date(2025, 4, 10))
    )
    assert during["hashrate_ehs"] < 0.87 * before["hashrate_ehs"] < after["hashrate_ehs"]
    assert during["price_usd"] > 0.85 * before["price_usd"]


def test_miners_sell_in_bursts_when_squeezed_and_steadily_when_not(days):
    usual_sat = pl.col("miner_to_exchange_sat").rolling_median(91, center=True, min_samples=45)
    times = days.with_columns((pl.col("miner_to_exchange_sat") / usual_sat).alias("times"))
    squeezed = times.filter(pl.col("day").is_between(date(2025, 11, 15), date(2026, 3, 20)))["times"]
    calm = times.filter(pl.col("day").is_between(date(2022, 12, 1), date(2023, 4, 1)))["times"]
    assert (squeezed > 4).sum() >= 4
    assert (calm > 4).sum() == 0


def test_the_demo_ends_in_a_squeeze(days):
    last = days.tail(60)
    assert days["price_usd"].tail(14).mean() < 0.75 * days["price_usd"].tail(180).max()
    assert last["hashrate_ehs"].tail(14).mean() < 0.95 * last["hashrate_ehs"].head(14).mean()


def test_price_and_hash_rate_stay_near_the_scenario(days):
    smooth = days.with_columns(pl.col("price_usd", "hashrate_ehs").rolling_mean(9, center=True))
    turns = pl.DataFrame(SCENARIO, schema=["day", "price_turn_usd", "hashrate_turn_ehs", "fees"], orient="row")
    at_turns = turns.join(smooth, on="day").drop_nulls()
    assert at_turns.height > 30
    assert (at_turns["hashrate_ehs"] / at_turns["hashrate_turn_ehs"]).is_between(0.85, 1.15).all()
    assert (at_turns["price_usd"] / at_turns["price_turn_usd"]).is_between(0.75, 1.33).all()


def test_the_scenario_runs_forward():
    assert all(earlier.day < later.day for earlier, later in pairwise(SCENARIO))


# Pools and flows


def test_pools_appear_die_and_leave_one_block_in_a_hundred_unknown(blocks):
    shares = (
        blocks.group_by(pl.col("block_at").dt.year().alias("year"), "pool")
        .len()
        .with_columns((pl.col("len") / pl.col("len").sum().over("year")).alias("share"))
    )
    share = {(year, pool): part for year, pool, _, part in shares.iter_rows()}
    assert (2020, "sim-spruce") in share
    assert (2026, "sim-spruce") not in share
    assert (2020, "sim-maple") not in share
    assert share[2026, "sim-maple"] > 0.03
    assert all(0.005 < share[year, "unknown"] < 0.02 for year in range(2020, 2027))


def test_flows_add_up_to_the_daily_totals(demo, days):
    flows = demo[ObservedTable.EXCHANGE_FLOW]
    sums = flows.group_by("day").agg(pl.col("transfer_sat", "transfer_count", "top10_sat").sum()).sort("day")
    assert sums["transfer_sat"].to_list() == days["miner_to_exchange_sat"].to_list()
    assert sums["transfer_count"].to_list() == days["miner_to_exchange_count"].to_list()


def test_the_largest_ten_are_all_of_ten_and_less_of_more(demo):
    flows = demo[ObservedTable.EXCHANGE_FLOW]
    few, many = flows.filter(pl.col("transfer_count") <= 10), flows.filter(pl.col("transfer_count") > 10)
    assert few.height > 0 < many.height
    assert (few["top10_sat"] == few["transfer_sat"]).all()
    assert (many["top10_sat"] < many["transfer_sat"]).all()
    assert (many["top10_sat"] * many["transfer_count"] >= 10 * many["transfer_sat"] - many["transfer_count"]).all()
    assert flows["transfer_count"].min() >= 1


def test_some_pairs_send_nothing_on_a_day(demo):
    flows = demo[ObservedTable.EXCHANGE_FLOW]
    pairs = flows.select("exchange", "pool").unique().height
    assert flows.group_by("day").len()["len"].max() < pairs


def test_parts_of_a_flow_do_not_exceed_it(demo, days):
    assert (days["miner_to_exchange_sat"] <= days["miner_outflow_sat"]).all()
    assert (days["miner_to_exchange_sat"] <= days["exchange_inflow_sat"]).all()
    assert (days["miner_outflow_top10_sat"] <= days["miner_outflow_sat"]).all()
    largest_sat = demo[ObservedTable.EXCHANGE_FLOW].group_by("day").agg(pl.col("top10_sat").max()).sort("day")
    assert (largest_sat["top10_sat"] <= days["miner_outflow_top10_sat"]).all()


def test_an_ordinary_day_sends_a_fifth_to_three_fifths_of_issuance_to_exchanges(blocks, days):
    issued = blocks.group_by(pl.col("block_at").cum_max().dt.date().alias("day")).agg(
        pl.col("subsidy_claimed_sat").sum().alias("issued_sat")
    )
    part = days.join(issued, on="day").select(pl.col("miner_to_exchange_sat") / pl.col("issued_sat")).to_series()
    assert part.is_between(0.2, 0.6).mean() > 0.85


# The whole chain, and settings


def test_the_whole_chain_starts_at_difficulty_one_and_keeps_every_rule(whole):
    blocks = whole[ObservedTable.BLOCK]
    assert blocks.height > 930_000
    assert blocks["height"][0] == 0
    assert blocks["difficulty"][0] == 1.0
    assert blocks["difficulty"].min() >= 1.0
    assert breaks_of_the_retarget_rule(blocks) == []
    assert passes_median_time_past(headers_s(blocks)).all()


def test_before_there_are_exchanges_flows_are_zero_and_not_missing(whole):
    daily, flows = whole[ObservedTable.DAILY_VALUE], whole[ObservedTable.EXCHANGE_FLOW]
    early = daily.filter(pl.col("series") == "miner_to_exchange_sat", pl.col("day") < date(2011, 1, 1))
    assert early.height == (date(2011, 1, 1) - date(2009, 1, 3)).days
    assert early["value"].sum() == 0
    assert flows["day"].min() >= date(2011, 1, 1)


@pytest.mark.parametrize("settings", [{"first_height": 600_000}, {"first_height": -2_016}, {"seed": -1}], ids=str)
def test_invalid_settings_are_rejected(settings):
    with pytest.raises(SettingsError):
        Simulated(**settings)
