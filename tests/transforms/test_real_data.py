"""Our tables against figures that others computed from the same chain, where their files are at hand."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest

from flows.settings import read_profile
from flows.sources.files.folder import Files
from flows.sources.protocol import Request
from schemas.check import failed
from schemas.observations import EXCHANGE_FLOW, Batch, ObservedTable
from schemas.series import Group
from transforms.build import Built, build
from transforms.calendar import dated, fold_blocks, whole_days
from transforms.capitulation import CAPITULATIONS, RULE, STATE_INPUTS
from transforms.prepare import Inputs
from transforms.rules import FIRST_DAY, RULES, compared, judged_days
from transforms.variants import sensitivity
from warehouse.registry import load_registry

NOW = datetime(2026, 11, 22, tzinfo=UTC)
LAST = date(2026, 3, 22)
MODERN = date(2013, 1, 1)
FIRST_MINED = date(2009, 1, 9)
COUNTED_OTHERWISE = [
    *(date(2010, 12, 21), date(2010, 12, 22), date(2013, 10, 8), date(2013, 10, 9)),
    *(date(2012, 11, 28), date(2016, 7, 9), date(2020, 5, 11), date(2024, 4, 19), date(2024, 4, 20)),
]
"""Days on which Coin Metrics counts another number of blocks than CryptoQuant, and days of a halving."""


@pytest.fixture(scope="module")
def batches(shared_data: Path) -> list[Batch]:
    results: Iterator[object] = Files(shared_data).observe(Request(since=None, through=NOW.date(), now=NOW))
    return [each for each in results if isinstance(each, Batch)]


@pytest.fixture(scope="module")
def values(batches: list[Batch]) -> pl.DataFrame:
    daily = (batch for batch in batches if batch.table is ObservedTable.DAILY_VALUE)
    return pl.concat(batch.rows.select(pl.lit(batch.source).alias("source"), pl.all()) for batch in daily)


@pytest.fixture(scope="module")
def blocks(batches: list[Batch]) -> pl.DataFrame:
    return next(batch.rows for batch in batches if batch.table is ObservedTable.BLOCK)


@pytest.fixture(scope="module")
def built(values: pl.DataFrame, blocks: pl.DataFrame) -> Built:
    precedence = read_profile("files").precedence
    return build(
        Inputs(
            blocks=blocks,
            block_source=precedence[Group.BLOCKS][0],
            values=values,
            flows=pl.DataFrame(schema={name: column.dtype.type for name, column in EXCHANGE_FLOW.columns.items()}),
            flow_source=None,
            reference=load_registry(),
            precedence=precedence,
            through=LAST,
            now=NOW,
        )
    )


@pytest.fixture(scope="module")
def days(built: Built) -> pl.DataFrame:
    return built.tables["capitulation_daily"]


@pytest.fixture(scope="module")
def theirs(shared_data: Path) -> pl.DataFrame:
    """The vendor's own file, its last and partial row left out."""
    export = pl.read_csv(shared_data / "coinmetrics" / "btc.csv", infer_schema_length=None)
    return export.with_columns(pl.col("time").str.slice(0, 10).str.to_date().alias("day")).filter(pl.col("day") <= LAST)


def difference(days: pl.DataFrame, theirs: pl.DataFrame, ours: pl.Expr, others: pl.Expr) -> pl.Series:
    """Relative difference on each day that both know."""
    both = days.join(theirs, on="day", suffix="_theirs", validate="1:1")
    return both.select((ours / others - 1).abs().alias("difference"))["difference"].drop_nulls().drop_nans()


def on(days: pl.DataFrame, day: date) -> dict[str, object]:
    return days.row(by_predicate=pl.col("day") == day, named=True)


def test_no_check_stops_the_real_history(built: Built) -> None:
    assert failed(built.checks) == []


def test_issuance_in_dollars_is_the_vendors_own(days: pl.DataFrame, theirs: pl.DataFrame) -> None:
    same = days.filter(~pl.col("day").is_in(COUNTED_OTHERWISE))
    gap = difference(same, theirs, pl.col("issuance_usd"), pl.col("IssTotUSD"))
    assert gap.len() > 5_700
    assert gap.max() < 3e-5  # prices of cents are printed with few digits
    assert gap.quantile(0.99) < 1e-9


def test_halvings_lie_at_their_heights_where_the_vendor_has_them_four_blocks_early(
    days: pl.DataFrame, theirs: pl.DataFrame
) -> None:
    """Its count of 2009 has five blocks too many, one of which is the genesis block that it leaves out."""
    both = days.join(theirs, on="day").filter(pl.col("day").is_in([date(2024, 4, 19), date(2024, 4, 20)]))
    assert both["issuance_btc"].to_list() == [151 * 6.25, 6.25 + 129 * 3.125]
    assert (both["issuance_btc"] - both["IssTotNtv"]).round(8).to_list() == [4 * 3.125, 3.125]


def test_revenue_is_what_miners_were_paid_to_the_satoshi(days: pl.DataFrame, values: pl.DataFrame) -> None:
    paid = values.filter(source="cryptoquant_export", series="reward_sat").select("day", "value")
    both = days.join(paid, on="day").drop_nulls("miner_revenue_btc")
    assert both.height > 6_250
    assert both.select((pl.col("miner_revenue_btc") * 1e8 - pl.col("value")).abs().max()).item() < 0.5
    row = on(days, date(2024, 4, 19))
    assert row["fees_btc"] == pytest.approx(116.94265, abs=1e-5)  # Coin Metrics has 179.88
    assert "cryptoquant_export" in str(row["sources"])


def test_two_sources_of_fees_are_compared(built: Built) -> None:
    checks = {check.check_name: check for check in built.checks}
    assert checks["fees_sat: coinmetrics_export: agrees with the published fees over a week"].passed
    by_day = checks["fees_sat: coinmetrics_export agrees with cryptoquant_export"]
    assert (by_day.severity, by_day.value > 5_000) == ("notice", True)


def test_both_know_issuance_on_the_same_days(days: pl.DataFrame, theirs: pl.DataFrame) -> None:
    both = days.join(theirs, on="day", validate="1:1")
    assert both.height == theirs.height
    assert (both["issuance_usd"].is_null() == both["IssTotUSD"].is_null()).all()


def test_puell_is_the_vendors_issuance_over_its_year(days: pl.DataFrame, theirs: pl.DataFrame) -> None:
    issued = theirs.sort("day")["IssTotUSD"].to_list()
    puell: list[float | None] = []
    for today, usd in enumerate(issued):
        year = [u for u in issued[max(0, today - 364) : today + 1] if u is not None]
        puell.append(usd * len(year) / sum(year) if usd is not None and len(year) >= 329 else None)
    slow = theirs.sort("day").select("day", pl.Series("puell", puell, dtype=pl.Float64))
    both = days.join(slow, on="day", validate="1:1")
    assert (both["puell_issuance_ratio"].is_null() == both["puell"].is_null()).all()
    gap = difference(
        days.filter(~pl.col("day").is_in(COUNTED_OTHERWISE)), slow, pl.col("puell_issuance_ratio"), pl.col("puell")
    )
    assert gap.len() > 5_300
    assert gap.max() < 2e-4  # the days that are counted otherwise stay in the mean of a year
    assert gap.quantile(0.5) < 1e-6


def test_hash_rate_is_the_vendors_own(days: pl.DataFrame, theirs: pl.DataFrame) -> None:
    gap = difference(days.filter(pl.col("day") > FIRST_MINED), theirs, pl.col("hashrate_ehs"), pl.col("HashRate") / 1e6)
    assert gap.len() > 6_200
    assert gap.quantile(0.75) < 1e-6
    assert gap.max() < 0.03  # on the days of a retarget another vendor's daily mean of difficulty is off


def test_published_row_of_2020_03_28(days: pl.DataFrame) -> None:
    """135 blocks, difficulty 13,912,524,048,945.94, 93,365,368 TH/s, 1,687.5 BTC at 6,231.82 USD: 10,516,196 USD."""
    row = on(days, date(2020, 3, 28))
    assert row["block_count"] == 135
    assert row["difficulty"] == pytest.approx(13_912_524_048_945.94, abs=0.1)  # another vendor rounds it
    assert row["hashrate_ehs"] == pytest.approx(93.365368, abs=1e-6)
    assert row["issuance_btc"] == 1_687.5
    assert row["price_usd"] == pytest.approx(6_231.82, abs=0.005)
    assert row["issuance_usd"] == pytest.approx(10_516_196, abs=0.5)


def test_folded_blocks_are_the_vendors_count_on_every_day(blocks: pl.DataFrame, theirs: pl.DataFrame) -> None:
    chain = dated(blocks)
    counts = fold_blocks(chain, whole_days(chain)).filter(pl.col("series") == "block_count")
    both = counts.join(theirs.select("day", "BlkCnt"), on="day", validate="1:1")
    assert both.height == 1_905
    assert (both["value"] == both["BlkCnt"]).all()


def test_pool_table_has_every_block_of_every_day(built: Built, days: pl.DataFrame) -> None:
    pools = built.tables["pool_daily"].group_by("day").agg(pl.sum("block_count").alias("made"))
    both = pools.join(days, on="day", validate="1:1")
    assert both.height == 1_905
    assert (both["made"] == both["block_count"]).all()


def test_subsidy_halves_on_the_days_it_did(days: pl.DataFrame) -> None:
    halvings = days.drop_nulls("halving_count").filter(pl.col("halving_count").diff() != 0)
    assert halvings.select("day", "halving_count").rows() == [
        (date(2012, 11, 28), 1),
        (date(2016, 7, 9), 2),
        (date(2020, 5, 11), 3),
        (date(2024, 4, 20), 4),
    ]


def test_mean_transfer_is_the_vendors_own(days: pl.DataFrame, values: pl.DataFrame) -> None:
    """The vendor states total, count and mean in three files: the mean is exactly total over count."""
    stated = values.filter(series="miner_to_exchange_mean_sat").select("day", pl.col("value").alias("mean_sat"))
    gap = difference(days, stated, pl.col("miner_to_exchange_mean_btc"), pl.col("mean_sat") / 1e8)
    assert gap.len() > 5_000
    assert gap.max() < 1e-5
    silent = days.join(stated, on="day").filter(pl.col("mean_sat") == 0)
    assert silent["miner_to_exchange_mean_btc"].null_count() == silent.height > 40


def test_revenue_follows_another_vendors_within_its_pricing(days: pl.DataFrame, values: pl.DataFrame) -> None:
    """They price each block, we price the day."""
    stated = values.filter(series="reward_usd").select("day", pl.col("value").alias("reward_usd"))
    modern = days.filter(pl.col("day") >= MODERN)
    gap = difference(modern, stated, pl.col("miner_revenue_usd"), pl.col("reward_usd"))
    assert gap.len() > 4_800
    assert gap.median() < 0.01
    assert gap.quantile(0.95) < 0.05


@pytest.mark.parametrize(
    ("day", "reported_usd"),
    [(date(2026, 1, 22), 45e6), (date(2026, 1, 24), 28e6), (date(2026, 1, 26), 34e6)],
    ids=str,
)
def test_revenue_in_the_january_storm_is_what_was_reported(days: pl.DataFrame, day: date, reported_usd: float) -> None:
    assert on(days, day)["miner_revenue_usd"] == pytest.approx(reported_usd, rel=0.05)


def test_readings_around_the_day_of_the_article(days: pl.DataFrame) -> None:
    """Puell 0.686, revenue -33.2 % on single days and -23.3 % on weeks; 177,274 BTC in January, 10,026 on one day."""
    assert on(days, date(2026, 2, 3))["puell_issuance_ratio"] == pytest.approx(0.686, abs=0.0005)
    fifth = on(days, date(2026, 2, 5))
    assert fifth["revenue_change_30d_raw_pct"] == pytest.approx(-33.2, abs=0.05)
    assert fifth["revenue_change_30d_pct"] == pytest.approx(-23.3, abs=0.05)
    assert fifth["sustainability_zone"] == "extremely_underpaid"
    january = days.filter(pl.col("day").is_between(date(2026, 1, 1), date(2026, 1, 31)))
    assert january["miner_to_exchange_btc"].sum() == pytest.approx(177_274, abs=1)
    assert january["miner_to_exchange_btc"].max() == pytest.approx(10_026, abs=1)
    assert january["issuance_btc"].sum() == pytest.approx(13_128, abs=0.5)


def test_sums_of_january_2026_are_low_in_their_regime(days: pl.DataFrame) -> None:
    """172,255 BTC in the 30 days: 9.4 % of 947 days had no more; a month of the 90 days before had 206,427."""
    january = on(days, date(2026, 1, 31))
    assert january["flow_regime_start"] == date(2023, 6, 1)
    assert january["miner_to_exchange_30d_btc"] == pytest.approx(172_255, abs=0.5)
    assert january["miner_to_exchange_30d_rank_pct"] == pytest.approx(100 * 89 / 947, abs=1e-9)
    assert january["miner_to_exchange_30d_of_prior_90d_ratio"] == pytest.approx(172_255 / 206_427, abs=1e-5)
    assert january["miner_to_exchange_max_30d_btc"] == pytest.approx(10_026, abs=0.5)
    assert january["flow_null_reason"] is None
    november = on(days, date(2025, 11, 30))
    assert november["miner_to_exchange_30d_btc"] == pytest.approx(243_687, abs=0.5)
    assert november["miner_to_exchange_30d_rank_pct"] == pytest.approx(52.7, abs=0.05)
    assert november["miner_to_exchange_30d_of_prior_90d_ratio"] == pytest.approx(1.29, abs=0.005)


def test_miners_released_a_twelfth_of_what_they_sent_to_exchanges_in_january_2026(days: pl.DataFrame) -> None:
    month = days.filter(pl.col("day").is_between(date(2026, 1, 1), date(2026, 1, 31)))
    earned, gained = month["miner_revenue_btc"].sum(), month["miner_netflow_btc"].sum()
    assert gained == pytest.approx(-1_473, abs=0.5)
    assert earned - gained == pytest.approx(14_681, abs=1)
    released = on(days, date(2026, 1, 31))["miner_net_release_30d_btc"]
    assert released == pytest.approx(earned - gained, rel=0.05)


def test_change_of_labels_of_2023_is_seen_when_it_could_be_and_not_before(days: pl.DataFrame) -> None:
    """Level times four from 2023-06-01: medians show it from 06-18 to 08-02, and never else since 2018."""
    suspected = days.filter("flow_break_suspected")["day"]
    assert suspected.filter(suspected >= date(2018, 1, 1)).to_list() == list(
        pl.date_range(date(2023, 6, 18), date(2023, 8, 2), eager=True)
    )
    early = suspected.filter(suspected.is_between(date(2014, 1, 1), date(2017, 12, 31)))
    assert early.dt.strftime("%Y-%m").unique().sort().to_list() == ["2014-02", "2016-07", "2016-08", "2017-08"]
    assert on(days, date(2023, 6, 17))["flow_regime_start"] < date(2018, 1, 1)
    assert on(days, date(2023, 6, 18))["flow_regime_start"] == date(2023, 6, 1)
    assert on(days, date(2023, 6, 18))["flow_null_reason"] == "break_suspected"
    assert on(days, date(2023, 8, 3))["flow_null_reason"] == "regime_too_young"
    first = days.filter(pl.col("day") > date(2023, 6, 18))
    for column, day in {
        "miner_net_release_30d_btc": date(2023, 8, 3),
        "miner_to_exchange_burst_score": date(2023, 8, 30),
        "miner_to_exchange_30d_of_prior_90d_ratio": date(2023, 9, 28),
        "miner_to_exchange_30d_rank_pct": date(2023, 12, 26),
    }.items():
        assert first.drop_nulls(column)["day"].min() == day
    assert first.filter(pl.col("flow_null_reason").is_null())["day"].min() == date(2023, 12, 26)


def test_miners_index_across_the_change_of_labels_is_marked(days: pl.DataFrame) -> None:
    marked = days.filter(pl.col("mpi_spans_break") & (pl.col("day") >= date(2019, 1, 1)))["day"]
    assert marked.to_list() == list(pl.date_range(date(2023, 6, 1), date(2025, 5, 30), eager=True))


def test_bursts_are_single_jumps_and_january_2026_had_none(days: pl.DataFrame) -> None:
    assert on(days, date(2026, 1, 21))["miner_to_exchange_btc"] == pytest.approx(10_026, abs=0.5)
    assert on(days, date(2026, 1, 21))["miner_to_exchange_burst_score"] == pytest.approx(1.2, abs=0.05)
    assert on(days, date(2026, 2, 5))["miner_to_exchange_btc"] == pytest.approx(24_268, abs=0.5)
    assert on(days, date(2026, 2, 5))["miner_to_exchange_burst_score"] == pytest.approx(3.2, abs=0.05)
    assert days.filter("miner_to_exchange_burst")["day"].max() < date(2023, 12, 1)


def test_miners_index_turned_in_february(days: pl.DataFrame) -> None:
    weekly = days.with_columns(pl.col("mpi_zscore").rolling_mean(7).alias("weekly"))
    values = [on(weekly, day)["weekly"] for day in (date(2025, 12, 25), date(2026, 1, 31), date(2026, 2, 5))]
    assert values == pytest.approx([-0.87, -0.32, 0.85], abs=0.005)
    assert on(days, date(2026, 2, 5))["mpi_zscore"] == pytest.approx(3.0, abs=0.05)


def test_mean_transfer_rose_because_transactions_became_fewer(days: pl.DataFrame) -> None:
    monthly = days.with_columns(pl.col("miner_to_exchange_mean_btc").rolling_mean(30).alias("monthly"))
    assert on(monthly, date(2025, 9, 30))["monthly"] == pytest.approx(8.5, abs=0.05)
    assert on(monthly, date(2026, 1, 28))["monthly"] == pytest.approx(13.2, abs=0.05)
    counts = days.group_by(pl.col("day").dt.strftime("%Y-%m").alias("month")).agg(pl.sum("miner_to_exchange_count"))
    sent = dict(counts.iter_rows())
    assert sent["2025-01"] == pytest.approx(33_400, abs=50)
    assert sent["2026-01"] == 12_576


def test_halvings_alone_leave_nobody_extremely_underpaid(days: pl.DataFrame) -> None:
    """29, 33, 29 and 17 days after the four halvings had revenue down by a fifth and more for the halving alone."""
    change = pl.col("revenue_change_30d_pct") <= -20
    extremely = pl.col("sustainability_zone") == "extremely_underpaid"
    since = days.filter(pl.col("day") >= date(2011, 8, 1))
    assert since.filter(change).height == 757
    assert since.filter(extremely).height == 649
    halved = since.filter(change & ~extremely).group_by(pl.col("day").dt.year()).len().sort("day")
    assert halved.rows() == [(2012, 29), (2016, 33), (2020, 29), (2024, 17)]


def test_hashprice_on_the_second_of_february_is_near_the_published_record_low(days: pl.DataFrame) -> None:
    """33.31 USD was published for that day; other venues, other hours, so within a tenth."""
    assert on(days, date(2026, 2, 2))["hashprice_usd_per_phs_day"] == pytest.approx(33.31, rel=0.1)


def test_both_forms_of_hashprice_agree_within_15_percent_on_every_week_since_2013(days: pl.DataFrame) -> None:
    forms = ("hashprice_usd_per_phs_day", "hashprice_realised_usd_per_phs_day")
    weekly = days.filter(pl.col("day") >= MODERN).select(pl.col(form).rolling_mean(7) for form in forms)
    assert (weekly[forms[0]] / weekly[forms[1]] - 1).abs().max() < 0.15


# Worked examples: ratios of income, spread of the hash ribbon, points of the parts and their sum.
WORKED_DAYS = {
    date(2026, 2, 5): ((0.7544, 0.6968), -5.08, (12.28, 15.16, 50.0), 77.44, "capitulation"),
    date(2018, 12, 15): (None, None, (25.0, 25.0, 50.0), 100.0, "deep_capitulation"),
    date(2015, 1, 14): ((0.508, 0.083), 2.47, (24.61, 25.0, 0.0), 49.61, "squeeze"),
    date(2021, 7, 5): ((1.152, 1.373), -17.3, (0.0, 0.0, 50.0), 50.0, "outage"),
    date(2020, 6, 5): ((1.098, 0.885), -5.88, (0.0, 5.77, 50.0), 55.77, "hashrate_decline"),
    date(2024, 7, 5): ((1.305, 1.137), -1.67, (0.0, 0.0, 0.0), 0.0, "normal"),
}


@pytest.mark.parametrize("day", WORKED_DAYS, ids=str)
def test_score_of_a_worked_day_is_as_printed(days: pl.DataFrame, day: date) -> None:
    ratios, spread, points, score, state = WORKED_DAYS[day]
    row = on(days, day)
    if ratios is not None:
        digits = 4 if day == date(2026, 2, 5) else 3
        actual = [row["income_of_year_ratio"], row["income_per_hash_of_year_ratio"]]
        assert [round(value, digits) for value in actual] == list(ratios)
        assert row["hash_ribbon_spread_pct"] == pytest.approx(spread, abs=0.05 if spread == -17.3 else 0.005)
    parts = [row["score_income_level"], row["score_income_per_hash"], row["score_hashrate"]]
    assert [round(value, 2) for value in parts] == list(points)
    assert round(row["capitulation_score"], 2) == score
    assert row["capitulation_state"] == state


def test_means_behind_the_income_of_2026_02_05_are_as_printed(days: pl.DataFrame) -> None:
    until = days.filter(pl.col("day") <= date(2026, 2, 5)).with_columns(q=pl.col("price_usd") / pl.col("difficulty"))
    week, year = (until.tail(count).select(pl.mean("price_usd", "q")).row(0) for count in (7, 365))
    assert [round(price, 2) for price in (week[0], year[0])] == [75_803.10, 100_483.26]
    assert [round(q * 1e14, 0) for q in (week[1], year[1])] == [53_508, 76_795]


def test_first_score_of_real_data_is_that_of_2011_06_11(days: pl.DataFrame) -> None:
    assert days.drop_nulls("capitulation_score")["day"].min() == date(2011, 6, 11)


def test_time_in_each_state_is_as_published(days: pl.DataFrame) -> None:
    known = days.drop_nulls("capitulation_state")["capitulation_state"]
    shares = {state: round(100 * count / known.len(), 1) for state, count in known.value_counts().rows()}
    assert shares == {
        "normal": 67.3,
        "squeeze": 22.5,
        "recovery": 4.4,
        "deep_capitulation": 2.1,
        "capitulation": 1.4,
        "outage": 1.1,
        "hashrate_decline": 1.1,
    }


# Days of each state by year: normal, recovery, squeeze, hashrate_decline, outage, capitulation, deep_capitulation.
DAYS_BY_YEAR = {
    2011: (98, 0, 25, 5, 0, 19, 57),
    2012: (139, 60, 163, 4, 0, 0, 0),
    2013: (351, 0, 0, 14, 0, 0, 0),
    2014: (247, 0, 118, 0, 0, 0, 0),
    2015: (78, 0, 287, 0, 0, 0, 0),
    2016: (366, 0, 0, 0, 0, 0, 0),
    2017: (365, 0, 0, 0, 0, 0, 0),
    2018: (165, 0, 156, 0, 0, 3, 41),
    2019: (208, 60, 91, 0, 0, 1, 5),
    2020: (220, 60, 35, 37, 0, 5, 9),
    2021: (310, 0, 0, 0, 55, 0, 0),
    2022: (70, 0, 266, 0, 0, 29, 0),
    2023: (257, 60, 48, 0, 0, 0, 0),
    2024: (366, 0, 0, 0, 0, 0, 0),
    2025: (365, 0, 0, 0, 0, 0, 0),
    2026: (26, 0, 28, 0, 6, 17, 4),
}


def test_state_of_all_real_days_by_year(days: pl.DataFrame) -> None:
    order = ("normal", "recovery", "squeeze", "hashrate_decline", "outage", "capitulation", "deep_capitulation")
    counted = days.group_by(pl.col("day").dt.year().alias("year")).agg(
        pl.col("capitulation_state").eq(state).sum().alias(state) for state in order
    )
    by_year = {year: tuple(counts) for year, *counts in counted.select("year", *order).rows()}
    assert {year: counts for year, counts in by_year.items() if sum(counts)} == DAYS_BY_YEAR


def test_states_of_2026_change_on_the_published_days(days: pl.DataFrame) -> None:
    year = days.filter(pl.col("day") >= date(2025, 12, 31))
    changed = year.filter(pl.col("capitulation_state") != pl.col("capitulation_state").shift())
    assert changed.select("day", "capitulation_state").rows() == [
        (date(2026, 1, 27), "outage"),
        (date(2026, 2, 2), "capitulation"),
        (date(2026, 2, 9), "deep_capitulation"),
        (date(2026, 2, 13), "capitulation"),
        (date(2026, 2, 23), "squeeze"),
    ]
    assert on(days, date(2026, 1, 27))["outage_event"] == "Winter Storm Fern"


def test_puell_multiple_jumps_over_two_days_on_which_the_score_moves_little(days: pl.DataFrame) -> None:
    assert round(on(days, date(2026, 2, 5))["puell_issuance_ratio"], 3) == 0.555
    assert on(days, date(2026, 2, 3))["rule_puell_low"] is False
    assert on(days, date(2026, 2, 5))["rule_puell_low"] is True
    assert [on(days, date(2026, 2, day))["rule_glassnode_risk"] for day in (3, 5)] == [False, True]


def test_sides_of_the_score_do_not_repeat_each_other_and_other_houses_rules_do(days: pl.DataFrame) -> None:
    scored = days.drop_nulls("capitulation_score")
    level, per_hash, hashrate = "score_income_level", "score_income_per_hash", "score_hashrate"
    pairs = ((per_hash, hashrate), (level, hashrate), (level, per_hash))
    assert [round(scored.select(pl.corr(*pair)).item(), 2) for pair in pairs] == [0.05, 0.22, 0.62]
    low, risk = pl.col("puell_issuance_ratio") <= 0.6, pl.col("rule_glassnode_risk")
    assert round(100 * scored.filter(low & risk).height / scored.filter(low | risk).height) == 80
    assert round(100 * scored.select((pl.col(level) + pl.col(per_hash) >= 40).mean()).item()) == 13


def test_events_hide_no_capitulation(days: pl.DataFrame) -> None:
    without = days.with_columns(pl.lit(None, pl.String).alias("outage_event"))
    states = without.select("day", pl.struct(STATE_INPUTS).map_batches(RULE.states, return_dtype=pl.String).alias("s"))
    both = days.join(states, on="day", validate="1:1").filter(pl.col("capitulation_state") != pl.col("s"))
    assert set(both["capitulation_state"]) == {"outage"}
    assert set(both["s"]) == {"hashrate_decline"}


# Days, hits of seven episodes, missed, recall, precision, strict precision, false and ambiguous runs, lag, changes.
COMPARED = {
    "capitulation": (190, 6, "P2", 37, 100, 100, 0, 0, 9, 1.0),
    "deep_capitulation": (116, 4, "P2 P5 P6", 23, 100, 100, 0, 0, 14, 0.5),
    "squeeze_or_worse": (1_407, 7, "none", 87, 53, 53, 1, 0, -49, 1.2),
    "hash_ribbon_plain": (881, 7, "none", 70, 58, 46, 13, 3, -13, 5.1),
    "hash_ribbon_dead_band": (705, 6, "P2", 69, 72, 55, 5, 3, -6, 2.0),
    "puell_low": (698, 6, "P4", 61, 81, 77, 3, 2, 1, 15.8),
    "glassnode_risk": (643, 6, "P4", 56, 79, 72, 3, 2, 2, 14.8),
    "difficulty_ribbon_compressed": (1_945, 5, "P1 P2", 50, 19, 16, 7, 2, -2, 3.2),
    "revenue_change": (757, 6, "P6", 28, 30, 27, 21, 4, 3, 7.6),
    "miners_position_index": (306, 3, "P1 P2 P3 P4", 1, 1, 1, 31, 5, 35, 22.2),
}


def test_rules_are_judged_as_published(built: Built) -> None:
    table = built.tables["rule_comparison"]
    assert table.select(pl.first("first_day"), pl.first("last_day")).row(0) == (date(2011, 8, 1), LAST)
    assert table["episode_count"].unique().to_list() == [7]
    rounded = table.select(
        "rule",
        "day_count",
        "episode_hit_count",
        "episode_missed",
        pl.col("recall_pct", "precision_pct", "precision_strict_pct").round().cast(pl.Int64),
        "false_run_count",
        "ambiguous_run_count",
        "lag_median_days",
        pl.col("changes_per_year").round(1),
    )
    assert {rule: tuple(figures) for rule, *figures in rounded.rows()} == COMPARED


# Days of our rule of capitulation from start, peak and end of its nearest episode to each low of a cycle, and whether
# it hits. The lows of 2011, 2015, 2018 and 2022 are in every chronicle of the market; that of 2013 lies between two
# highs of one year. In 2022 the closes of the 9th and the 21st of November are 0.1 % apart.
CYCLE_LOWS = {
    date(2011, 11, 18): (43, 1, -32, True),
    date(2013, 7, 6): (None, None, None, False),
    date(2015, 1, 14): (None, None, None, False),
    date(2018, 12, 15): (27, 17, -22, True),
    date(2022, 11, 9): (-40, -45, -48, False),
}


def test_lows_of_cycles_are_the_known_ones_and_the_rule_lies_about_them_as_printed(
    built: Built, days: pl.DataFrame
) -> None:
    found = built.tables["price_low_by_rule"].filter(rule="capitulation", low_kind="cycle")
    lags = found.select("low_on", "start_to_low_days", "peak_to_low_days", "end_to_low_days", "is_hit")
    assert {low: tuple(row) for low, *row in lags.rows()} == CYCLE_LOWS
    closes = days.filter(pl.col("day").is_in([date(2022, 11, 9), date(2022, 11, 21)]))["price_usd"].to_list()
    assert closes[1] / closes[0] - 1 == pytest.approx(0.00125, abs=0.0001)
    counts = found.row(0, named=True)
    assert (counts["judged_episode_count"], counts["hit_episode_count"]) == (5, 2)


def test_capitulation_of_2026_is_not_hash_rate_that_left_for_ai(built: Built) -> None:
    years = built.tables["hashrate_left_for_ai"]
    stated = built.tables["capitulation_daily"].drop_nulls("capitulation_state")
    taken = built.tables["conversion_daily"].join(stated, on="day", how="semi")["displaced_hashrate_energised_ehs"]
    assert years["capitulation_day_count"].sum() == 190
    assert years.row(by_predicate=pl.col("year_start") == date(2026, 1, 1), named=True) | {"sources": ""} == {
        "year_start": date(2026, 1, 1),
        "day_count": 81,
        "capitulation_day_count": 21,
        "capitulation_adjusted_day_count": 21,
        "hashrate_decline_day_count": 0,
        "hashrate_decline_adjusted_day_count": 0,
        "hashrate_decline_share_pct": 0.0,
        "displaced_hashrate_max_ehs": taken.max(),
        "sources": "",
    }


# Rule: hits, recall and precision up to 2018, then from 2019-02-02 on.
HALVES = {
    "capitulation": ((2, 51, 100), (4, 27, 100)),
    "hash_ribbon_plain": ((3, 62, 66), (4, 82, 52)),
    "glassnode_risk": ((3, 70, 70), (3, 38, 98)),
}


def test_rules_are_judged_on_both_halves_as_published(days: pl.DataFrame) -> None:
    episodes = load_registry()["stress_episode"]
    rules = {name: pl.sql_expr(RULES[name]) for name in HALVES}
    found: dict[str, list[tuple[int, int, int]]] = {name: [] for name in HALVES}
    for first, last in ((date(2011, 8, 1), date(2018, 12, 31)), (date(2019, 2, 2), LAST)):
        for row in compared(judged_days(days, episodes, first, last), episodes, rules).rows(named=True):
            hits, false = row["hit_day_count"], row["false_day_count"]
            shares = 100 * hits / row["core_day_count"], 100 * hits / (hits + false)
            found[row["rule"]].append((row["episode_hit_count"], *map(round, shares)))
    assert {name: tuple(halves) for name, halves in found.items()} == HALVES


# Variants that find other than six episodes, or something where there was none: hits, false runs.
MOVED = {
    "capitulation from 45 points": (7, 2),
    "capitulation from 75 points": (5, 0),
    "ribbon of 14 and 60 days": (6, 1),
    "points 31/31/38": (7, 0),
    "points 19/19/62": (6, 2),
}


def test_episodes_rest_on_both_sides_being_needed_and_not_on_the_numbers(days: pl.DataFrame) -> None:
    table = sensitivity(days, load_registry()["stress_episode"], FIRST_DAY, LAST)
    found = {name: tuple(row) for name, *row in table.select("variant", "episode_hit_count", "false_run_count").rows()}
    assert found.keys() > MOVED.keys()
    assert found == dict.fromkeys(found, (6, 0)) | MOVED
    counted = dict(table.select("variant", "day_count").rows())
    assert counted["as published"] == days["capitulation_state"].is_in(CAPITULATIONS).sum() == 190
    assert counted["capitulation from 52 points"] == 435
    others = [count for name, count in counted.items() if name not in MOVED and not name.endswith("52 points")]
    assert max(others) == counted["hash-rate ramp from -0.75"] == 256
    assert counted["capitulation from 75 points"] == 132
    assert set(table["deep_hit_count"]) == {2, 3, 4, 5, 6}
    moves = table.filter(pl.col("variant").str.contains("hysteresis|one side"))["changes_per_year"].round(1)
    assert (moves.min(), moves.max()) == (3.3, 5.3)


def test_real_days_of_2025_are_concentrated_as_published_and_pay_what_miners_got(built: Built) -> None:
    """Pools by the names the file gives them: AntPool and friends with Foundry about 70 %, two of them a majority."""
    year = built.tables["security_daily"].filter(pl.col("day").dt.year() == 2025)
    assert set(year["merged_nakamoto_coefficient_count"]) == {2}
    assert year["merged_top2_pool_share_pct"].mean() == pytest.approx(67, abs=3)
    assert year["top2_pool_share_pct"].mean() == pytest.approx(49, abs=1)
    assert (year["pool_hhi_index"] <= year["pool_hhi_high_index"]).all()
    revenue = built.tables["capitulation_daily"].filter(pl.col("day").dt.year() == 2025)["miner_revenue_usd"].sum()
    assert on(year, date(2025, 12, 31))["security_budget_usd_year"] == pytest.approx(revenue, rel=0.25)


def test_supply_of_real_days_is_the_vendors(built: Built, theirs: pl.DataFrame) -> None:
    """The vendor's supply at the end of the day, unspendable coins aside."""
    apart = difference(built.tables["security_daily"], theirs, pl.col("supply_btc"), pl.col("SplyCur"))
    assert apart.len() > 6_000
    assert apart.max() < 1e-9


def test_storms_and_the_ban_are_judged_by_what_came_back(built: Built) -> None:
    """China's ban of 2021 took half a year to heal, so sixty days later it was not temporary."""
    table = built.tables["security_daily"]
    judged = table.drop_nulls("recovery_trough_on").group_by("recovery_trough_on").first()
    ban = judged.filter(pl.col("recovery_trough_on").is_between(date(2021, 6, 25), date(2021, 7, 10)))
    assert ban["recovery_class"].to_list() == ["mixed"]
    assert (judged["day"] - judged["recovery_trough_on"]).dt.total_days().min() == 60


@pytest.mark.parametrize(
    ("day", "coverage", "low", "high", "share"),
    [
        (date(2020, 6, 1), 1.00, 0.79, 1.28, 49),
        (date(2022, 12, 25), 1.27, 0.76, 2.12, 23),
        (date(2026, 2, 5), 1.29, 0.88, 1.90, 21),
        (date(2026, 3, 20), 1.23, 0.82, 1.84, 26),
    ],
)
def test_cost_coverage_of_a_known_day(
    days: pl.DataFrame, day: date, coverage: float, low: float, high: float, share: int
) -> None:
    row = on(days, day)
    assert row["cost_coverage_ratio"] == pytest.approx(coverage, abs=0.005)
    assert row["cost_coverage_low_ratio"] == pytest.approx(low, abs=0.005)
    assert row["cost_coverage_high_ratio"] == pytest.approx(high, abs=0.005)
    assert row["fleet_unprofitable_share_pct"] == pytest.approx(share, abs=0.5)


def test_fleet_and_its_income_on_the_day_of_the_article(days: pl.DataFrame) -> None:
    row = on(days, date(2026, 2, 5))
    expected = {
        "fleet_efficiency_j_per_th": (19.73, 0.005),
        "fleet_efficiency_low_j_per_th": (15.5, 0.05),
        "fleet_efficiency_high_j_per_th": (25.2, 0.05),
        "hashprice_usd_per_phs_day": (28.47, 0.005),
        "revenue_7d_usd_per_mwh": (71.6, 0.05),
        "fleet_unprofitable_share_low_pct": (2, 0.5),
        "fleet_unprofitable_share_high_pct": (66, 0.5),
    }
    assert {name: row[name] for name in expected} == {
        name: pytest.approx(figure, abs=within) for name, (figure, within) in expected.items()
    }
    assert row["fleet_efficiency_age_days"] == 585


def test_machines_of_an_attack_cost_the_list_price_of_the_time(built: Built) -> None:
    row = on(built.tables["security_daily"], date(2026, 2, 5))
    assert row["attack_hardware_usd"] == pytest.approx(row["attack_hashrate_ehs"] * 1e6 * 7.5)
    assert row["machine_price_age_days"] == 44


def test_unprofitable_share_of_the_summer_after_the_halving_is_hardly_known(days: pl.DataFrame) -> None:
    row = on(days, date(2024, 7, 5))
    names = ("fleet_unprofitable_share_low_pct", "fleet_unprofitable_share_pct", "fleet_unprofitable_share_high_pct")
    assert [round(row[name]) for name in names] == [0, 14, 88]


def test_claims_of_the_article_get_their_verdicts_and_figures(built: Built) -> None:
    claims = {row["claim"]: row for row in built.tables["claim"].iter_rows(named=True)}
    assert {name: row["verdict"] for name, row in claims.items()} == {
        "revenue_below_a_month_before": "reproduced",
        "puell_multiple": "reproduced",
        "position_index_up": "direction only",
        "mean_inflow_up": "reproduced",
        "sent_in_january": "not reproduced",
        "largest_day": "reproduced",
        "sudden_bursts": "not reproduced",
        "capitulation": "reproduced",
        "before_cycle_lows": "not reproduced",
        "ai_capex": "reproduced",
        "google_backstop": "reproduced",
        "long_leases": "direction only",
        "leases_pay_more": "reproduced",
        "hashrate_gone_for_good": "direction only",
        "more_centralised": "direction only",
        "cheaper_attack": "direction only",
    }
    printed = {
        "revenue_below_a_month_before": ["-33.2 %", "-23.3 %", "extremely underpaid"],
        "puell_multiple": ["0.686 on 2026-02-03", "0.555 on 2026-02-05"],
        "position_index_up": ["-0.87 on 2025-12-25", "-0.32 on 2026-01-31", "+0.85 on 2026-02-05", "+3.0"],
        "mean_inflow_up": ["8.5 BTC", "98 %", "12,576 transactions", "the January before 33,400"],
        "sent_in_january": ["177,274 BTC", "172,255 BTC", "91 %", "223,387, 243,687, 172,429", "0.83", "14,681 BTC"],
        "largest_day": ["10,026 BTC, on 2026-01-21", "254 of 1,026 days since 2023-06-01", "24,268 BTC"],
        "sudden_bursts": ["0 bursts", "1.2", "2023-11", "3.2"],
        "capitulation": ["77 of 100 points", "capitulation, since 2026-02-02"],
        "before_cycle_lows": ["on 1 % of the days", "7 episodes"],
    }
    for name, figures in printed.items():
        text = f"{claims[name]['finding']} {claims[name]['left_out']}"
        assert [figure for figure in figures if figure not in text] == []
    assert claims["sent_in_january"]["article_figure"] == 175_000
    assert claims["sent_in_january"]["figure"] == pytest.approx(177_274, abs=0.5)
    assert claims["sent_in_january"]["sources"] == "cryptoquant_export,registry"
