"""The whole computation on small invented inputs: gaps, zeros, missing prices, halvings, re-organisations, order."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from schemas.check import failed
from schemas.enforce import enforce
from schemas.errors import ContractError, NothingToPublishError
from schemas.observations import EXCHANGE_FLOW, Batch, ObservedTable
from schemas.series import Group
from schemas.table import Origin
from transforms.build import Built, build
from transforms.catalog import TABLES
from transforms.chain import subsidy_sat
from transforms.prepare import Inputs
from transforms.rules import FIRST_DAY as RULES_FIRST_DAY
from transforms.tables.claim import TABLE as CLAIM
from transforms.tables.deal_current import TABLE as DEAL_CURRENT
from transforms.tables.filing_candidate import TABLE as FILING_CANDIDATE
from transforms.tables.lease_economics import TABLE as LEASE_ECONOMICS
from transforms.tables.miner_flow_daily import TABLE as MINER_FLOW_DAILY
from transforms.tables.miner_transfer import TABLE as MINER_TRANSFER
from transforms.tables.rule_comparison import TABLE as RULE_COMPARISON
from warehouse import vintages
from warehouse.working import open_working

SOURCE = "simulated"
FIRST = date(2023, 1, 1)
FEW = 100
"""Days that fill the ribbons of 60 and the bursts of 90 days."""
LONG = 761
"""Days that fill the year of outflow ratios and the year of their deviations."""

Builder = Callable[..., pl.DataFrame]
InputsOf = Callable[..., Inputs]
Market = Callable[..., dict[str, list[Any]]]
TimesOf = Callable[[date, Sequence[int]], list[datetime]]


def day(n: int) -> date:
    return FIRST + timedelta(days=n)


def transfers(rows: Sequence[tuple[Any, ...]]) -> pl.DataFrame:
    types = {name: column.dtype.type for name, column in EXCHANGE_FLOW.columns.items()}
    return pl.DataFrame(rows, schema=types, orient="row")


def row(built: Built, n: int, table: str = "capitulation_daily") -> dict[str, Any]:
    return built.tables[table].row(by_predicate=pl.col("day") == day(n), named=True)


def reason(built: Built, column: str, n: int, table: str = "capitulation_daily") -> str:
    ranges = built.nulls.filter(table_name=table, column_name=column).filter(
        pl.lit(day(n)).is_between(pl.col("first_day"), pl.col("last_day"))
    )
    return str(ranges["reason"].item())


def assert_same(left: Built, right: Built) -> None:
    for name in TABLES:
        assert_frame_equal(left.tables[name], right.tables[name], check_exact=True)
    assert_frame_equal(left.nulls, right.nulls)
    assert left.checks == right.checks
    assert dict(left.chosen) == dict(right.chosen)


@pytest.fixture(scope="module")
def whole_market(inputs_of: InputsOf, values_of: Builder, market: Market) -> Built:
    return build(inputs_of(values=values_of(FIRST, market(LONG))))


def test_every_column_has_a_value_on_a_day_with_enough_history(whole_market: Built) -> None:
    last = row(whole_market, LONG - 1)
    unknown = [name for name, value in last.items() if value is None]
    assert unknown == ["sustainability_zone_adaptive", "flow_null_reason", "outage_event"]


def test_tables_hold_their_columns_in_the_order_of_the_catalogue(whole_market: Built) -> None:
    for name, table in TABLES.items():
        assert whole_market.tables[name].columns == [m.name for m in table.metrics]


def test_sound_market_is_stopped_by_no_check(whole_market: Built) -> None:
    assert failed(whole_market.checks) == []


@pytest.mark.parametrize(
    ("column", "broken", "truth"),
    [
        ("miner_revenue_btc", pl.col("miner_revenue_btc") / 2, "revenue is issuance plus fees"),
        ("miner_to_exchange_mean_btc", pl.lit(1e6), "mean transfer times count is the total"),
        ("capitulation_score", pl.col("capitulation_score") + 1, "the parts of the score add up"),
        ("capitulation_state", pl.lit("squeeze"), "score and state agree"),
        ("capitulation_state", pl.lit("deep_capitulation"), "score and state agree"),
        (
            "fleet_efficiency_j_per_th",
            pl.col("fleet_efficiency_j_per_th") / 2,
            "fleet_efficiency_j_per_th lies in its band",
        ),
        (
            "cost_coverage_high_ratio",
            pl.col("cost_coverage_high_ratio") / 2,
            "cost_coverage_ratio lies in its band",
        ),
    ],
)
def test_row_of_the_daily_table_that_contradicts_itself_is_refused(
    whole_market: Built, column: str, broken: pl.Expr, truth: str
) -> None:
    days = whole_market.tables["capitulation_daily"]
    enforce(days, TABLES["capitulation_daily"].schema)
    table = days.with_columns(pl.when(pl.col("day") == day(LONG - 1)).then(broken).otherwise(column).alias(column))
    with pytest.raises(ContractError, match=truth):
        enforce(table, TABLES["capitulation_daily"].schema)


def test_each_window_fills_on_its_own_day(whole_market: Built) -> None:
    """Nine tenths of a year, but every day of a ribbon."""
    days = whole_market.tables["capitulation_daily"]
    firsts = {name: days[name].is_not_null().arg_max() for name in days.columns}
    assert {name: firsts[name] + 1 for name in FILLED_BY} == FILLED_BY


FILLED_BY = {
    "price_usd": 1,
    "miner_revenue_usd": 1,
    "hashrate_7d_ehs": 7,
    "hashrate_30d_ehs": 30,
    "hashrate_60d_ehs": 60,
    "hash_ribbon_spread_pct": 60,
    "hash_ribbon_state": 60,
    "difficulty_ribbon_compression_ratio": 200,
    "puell_issuance_ratio": 329,
    "puell_revenue_ratio": 329,
    "revenue_change_30d_raw_pct": 31,
    "revenue_change_30d_pct": 36,
    "revenue_less_difficulty_change_30d_pct": 36,
    "mpi_ratio": 329,
    "mpi_zscore": 657,
    "miner_to_exchange_of_issuance_30d_ratio": 27,
    "miner_to_exchange_burst_score": 91,
    "miner_to_exchange_30d_rank_pct": 209,
}


# A day that is missing


@pytest.fixture(scope="module")
def with_gap(inputs_of: InputsOf, values_of: Builder, market: Market) -> Built:
    """Nobody says anything about day 70."""
    values = values_of(FIRST, market(140))
    return build(inputs_of(values=values.filter(pl.col("day") != day(70))))


def test_missing_day_is_a_row_of_unknowns(with_gap: Built) -> None:
    gap = row(with_gap, 70)
    assert gap["sources"] == ""
    assert [gap[name] for name in ("price_usd", "block_count", "miner_revenue_usd", "hashrate_ehs")] == [None] * 4
    assert gap["miner_to_exchange_btc"] is None
    assert gap["miner_to_exchange_count"] is None
    assert gap["is_final"] is None
    assert (row(with_gap, 69)["is_final"], row(with_gap, 71)["is_final"]) == (True, True)
    assert with_gap.tables["capitulation_daily"].height == 140


def test_window_of_nine_tenths_bridges_a_missing_day_and_a_ribbon_does_not(with_gap: Built) -> None:
    after = row(with_gap, 71)
    assert after["miner_to_exchange_of_issuance_30d_ratio"] is not None
    assert after["miner_to_exchange_burst_score"] is None  # 71 days before it are too few with or without the gap
    assert row(with_gap, 95)["miner_to_exchange_burst_score"] is not None
    for name, blind in (("hashrate_30d_ehs", 30), ("hashrate_60d_ehs", 60), ("hash_ribbon_spread_pct", 60)):
        assert [row(with_gap, 70 + n)[name] is None for n in (0, blind - 1, blind)] == [True, True, False]


def test_week_of_revenue_bears_one_missing_day(with_gap: Built) -> None:
    assert all(row(with_gap, 70 + n)["revenue_change_30d_pct"] is not None for n in range(50))
    assert row(with_gap, 70)["revenue_change_30d_raw_pct"] is None
    assert row(with_gap, 100)["revenue_change_30d_raw_pct"] is None
    assert row(with_gap, 101)["revenue_change_30d_raw_pct"] is not None


def test_lag_is_thirty_days_and_not_thirty_rows(with_gap: Built) -> None:
    now, before = row(with_gap, 80), row(with_gap, 50)
    change = 100 * (now["miner_revenue_usd"] / before["miner_revenue_usd"] - 1)
    assert now["revenue_change_30d_raw_pct"] == pytest.approx(change)


def test_reasons_of_a_missing_day_name_what_is_missing(with_gap: Built) -> None:
    assert reason(with_gap, "price_usd", 70) == "no observation of price_usd"
    assert reason(with_gap, "issuance_btc", 70) == "no observation of issuance_sat"
    assert reason(with_gap, "block_count", 70) == "no observation of block_count"
    assert reason(with_gap, "hashrate_30d_ehs", 71) == "too few of 30 days of hashrate_ehs"


def test_every_null_of_a_daily_table_has_a_reason(with_gap: Built) -> None:
    days = with_gap.tables["capitulation_daily"]
    explained = with_gap.nulls.filter(table_name="capitulation_daily").group_by("column_name").agg(pl.sum("row_count"))
    nulls = {name: count for name, count in days.null_count().row(0, named=True).items() if count}
    assert dict(explained.iter_rows()) == nulls


# A day of nothing


def test_day_without_a_transfer_is_zero_and_has_no_mean(
    inputs_of: InputsOf, values_of: Builder, market: Market
) -> None:
    quiet = market(FEW)
    quiet["miner_to_exchange_sat"][50] = quiet["miner_to_exchange_count"][50] = 0.0
    built = build(inputs_of(values=values_of(FIRST, quiet)))
    assert row(built, 50)["miner_to_exchange_btc"] == 0
    assert row(built, 50)["miner_to_exchange_count"] == 0
    assert row(built, 50)["miner_to_exchange_mean_btc"] is None
    assert reason(built, "miner_to_exchange_mean_btc", 50).startswith("not defined for miner_to_exchange_btc")
    month = sum(quiet["miner_to_exchange_sat"][21:51]) / sum(quiet["issuance_sat"][21:51])
    assert row(built, 50)["miner_to_exchange_of_issuance_30d_ratio"] == pytest.approx(month)


def test_flows_that_stop_for_good_become_exactly_nothing(
    inputs_of: InputsOf, values_of: Builder, market: Market
) -> None:
    """Sums that run along keep a rounding rest, which once was below zero and refused by the schema."""
    stopped = market(FEW)
    odd = [1e8 / 3, 7e10 / 9, 1.0, 3e13 / 7]
    for series in ("miner_outflow_sat", "miner_to_exchange_sat", "miner_to_exchange_count", "fees_sat"):
        stopped[series] = [odd[n % 4] if n < 50 else 0.0 for n in range(FEW)]
    last = row(build(inputs_of(values=values_of(FIRST, stopped))), FEW - 1)
    assert last["miner_to_exchange_of_issuance_30d_ratio"] == 0
    assert last["fee_share_7d_pct"] == 0
    assert last["fee_share_pct"] == 0


# A day without a price


def test_day_without_a_price_has_no_dollars_and_gives_the_reason(
    inputs_of: InputsOf, values_of: Builder, market: Market
) -> None:
    blind = market(FEW)
    blind["price_usd"][60] = None
    built = build(inputs_of(values=values_of(FIRST, blind)))
    names = built.tables["capitulation_daily"].columns
    # The mean of a week may lack one of its days.
    dollars = [name for name in names if "usd" in name and "mwh" not in name and name != "miner_revenue_7d_usd"]
    assert len(dollars) >= 6
    for name in (*dollars, "revenue_usd_per_mwh", "cost_coverage_ratio", "revenue_change_30d_raw_pct"):
        assert row(built, 60)[name] is None, name
        assert reason(built, name, 60) == "no observation of price_usd", name
    for name in ("miner_revenue_btc", "fee_share_pct", "hashrate_ehs", "all_in_usd_per_mwh", "miner_to_exchange_btc"):
        assert row(built, 60)[name] is not None, name


# A halving


@pytest.fixture(scope="module")
def halved(inputs_of: InputsOf, values_of: Builder) -> Built:
    """A steady market whose subsidy halves in the middle of day 340."""
    before, halving, after = 340, 1, 380
    days = before + halving + after
    return build(
        inputs_of(
            values=values_of(
                FIRST,
                {
                    "price_usd": [60_000.0] * days,
                    "block_count": [144.0] * days,
                    "issuance_sat": [90_000_000_000.0] * before + [67_500_000_000.0] + [45_000_000_000.0] * after,
                    "fees_sat": [0.0] * days,
                    "difficulty": [1e14] * days,
                },
            )
        )
    )


def test_halving_is_counted_from_its_own_day(halved: Built) -> None:
    assert [row(halved, n)["halving_count"] for n in (0, 339, 340, 341, 720)] == [3, 3, 4, 4, 4]


def test_window_of_a_halving_is_365_days_from_its_day_on(halved: Built) -> None:
    inside = halved.tables["capitulation_daily"].filter("halving_window")["day"]
    assert (inside.min(), inside.max(), inside.len()) == (day(340), day(340 + 364), 365)


def test_puell_falls_to_half_after_a_halving_and_comes_back_over_the_year(halved: Built) -> None:
    puell = [row(halved, n)["puell_issuance_ratio"] for n in (339, 341, 450, 600, 720)]
    assert puell[0] == pytest.approx(1.0)
    assert puell[1] == pytest.approx(0.5, abs=0.002)
    assert puell[1] < puell[2] < puell[3] < puell[4]
    assert puell[4] == pytest.approx(1.0)


def test_change_of_revenue_holds_the_halving_and_its_twin_does_not(halved: Built) -> None:
    full = row(halved, 350)
    assert full["revenue_change_30d_pct"] == pytest.approx(-50.0)
    assert full["revenue_change_30d_exhalving_pct"] == pytest.approx(0.0)
    assert row(halved, 380)["revenue_change_30d_pct"] == pytest.approx(0.0)
    twin = halved.tables["capitulation_daily"]["revenue_change_30d_exhalving_pct"].drop_nulls()
    # Blocks of the halving day that came before it count as if they came after, a seventh of half a day.
    assert twin.abs().max() < 100 / 7


def test_zone_of_a_halving_is_that_of_its_twin_and_marked(halved: Built) -> None:
    full = row(halved, 350)
    assert full["sustainability_zone"] == "fairly_paid"
    assert full["halving_window"] is True


# Blocks


def chained(blocks_of: Builder, times: Sequence[datetime], *, height: int = 839_900, **columns: Any) -> pl.DataFrame:
    paid = {"subsidy_claimed_sat": [subsidy_sat(height + n) for n in range(len(times))]}
    return blocks_of(times, height=height, **(paid | columns))


def from_blocks(inputs_of: InputsOf, values_of: Builder, blocks: pl.DataFrame, **changes: Any) -> Inputs:
    """Inputs that rest on blocks and a price."""
    return inputs_of(
        **{
            "blocks": blocks,
            "block_source": SOURCE,
            "values": values_of(FIRST, {"price_usd": [60_000.0] * 10}),
            "through": day(9),
        }
        | changes
    )


def test_daily_totals_are_those_of_the_blocks(
    inputs_of: InputsOf, values_of: Builder, blocks_of: Builder, times_of: TimesOf
) -> None:
    blocks = chained(blocks_of, times_of(FIRST, [150, 140, 130, 1]))
    built = build(from_blocks(inputs_of, values_of, blocks))
    assert built.chosen["block_count"] == SOURCE
    # The file begins mid-chain, so nobody knows whether its first day is whole; the last is not over.
    assert [row(built, n)["block_count"] for n in range(4)] == [None, 140, 130, None]
    # Heights 840,050 to 840,189 and so on: all after the halving at 840,000.
    assert [row(built, n)["issuance_btc"] for n in (1, 2)] == [140 * 3.125, 130 * 3.125]
    assert row(built, 1)["fees_btc"] == pytest.approx(140 * 0.02)
    assert row(built, 1)["fees_per_block_btc"] == pytest.approx(0.02)
    assert {check.severity for check in built.checks if check.table_name == "pool_daily"} == {"error"}
    tables = {check.check_name: check.table_name for check in built.checks}
    assert tables["blocks of all pools are the blocks of the day"] == "pool_daily"
    assert tables["calendar has no gap"] == "capitulation_daily"
    assert failed(built.checks) == []


def test_gap_in_heights_leaves_its_day_unknown(
    inputs_of: InputsOf, values_of: Builder, blocks_of: Builder, times_of: TimesOf
) -> None:
    blocks = chained(blocks_of, times_of(FIRST, [144] * 6), height=0)
    holed = blocks.filter(pl.col("height") != 2 * 144 + 50)
    built = build(from_blocks(inputs_of, values_of, holed))
    counts = [row(built, n)["block_count"] for n in range(6)]
    assert counts == [144, 144, None, 144, 144, None]
    assert row(built, 2)["issuance_btc"] is None
    assert reason(built, "issuance_btc", 2) == "no observation of issuance_sat"
    assert sorted(built.tables["pool_daily"]["day"].unique()) == [day(n) for n in (0, 1, 3, 4)]


def test_headers_that_step_back_over_midnight_move_no_block_to_the_day_before(
    inputs_of: InputsOf, values_of: Builder, blocks_of: Builder, times_of: TimesOf
) -> None:
    times = times_of(FIRST, [144] * 4)
    midnight = datetime.combine(day(2), time(), tzinfo=UTC)
    back = list(times)
    back[2 * 144 + 1] = midnight - timedelta(minutes=5)
    straight, stepped = (
        build(from_blocks(inputs_of, values_of, chained(blocks_of, headers, height=0))) for headers in (times, back)
    )
    assert_same(straight, stepped)
    ahead = list(times)
    ahead[2 * 144 - 1] = midnight + timedelta(minutes=1)
    built = build(from_blocks(inputs_of, values_of, chained(blocks_of, ahead, height=0)))
    assert [row(built, n)["block_count"] for n in (1, 2)] == [143, 145]


def test_day_under_five_blocks_is_not_final(
    inputs_of: InputsOf, values_of: Builder, blocks_of: Builder, times_of: TimesOf
) -> None:
    for later, final in ((5, False), (6, True)):
        blocks = chained(blocks_of, times_of(FIRST, [144, 144, later]), height=0)
        built = build(from_blocks(inputs_of, values_of, blocks))
        days = built.tables["capitulation_daily"]
        # A day on which the chain is silent is not final either.
        assert days["is_final"].to_list() == [True, final, *[False] * 8]
        pools = built.tables["pool_daily"].group_by("day").agg(pl.col("is_final").all())
        assert dict(pools.iter_rows()) == {day(0): True, day(1): final}


@pytest.mark.parametrize(("minute", "final"), [(119, False), (120, True)])
def test_day_is_final_at_two_in_the_morning(
    inputs_of: InputsOf, values_of: Builder, blocks_of: Builder, times_of: TimesOf, minute: int, final: bool
) -> None:
    now = datetime.combine(day(3), time(), tzinfo=UTC) + timedelta(minutes=minute)
    blocks = chained(blocks_of, times_of(FIRST, [144] * 3 + [20]), height=0)
    inputs = from_blocks(inputs_of, values_of, blocks, now=now, through=day(2))
    assert row(build(inputs), 2)["is_final"] is final
    without = replace(inputs, blocks=blocks_of([]), block_source=None)
    assert row(build(without), 2)["is_final"] is final


def test_vendor_totals_are_final_by_the_clock_alone(
    inputs_of: InputsOf, values_of: Builder, blocks_of: Builder, times_of: TimesOf, market: Market
) -> None:
    """Blocks of a source that the chain totals do not come from say nothing about them."""
    totals = values_of(FIRST, market(10)).with_columns(pl.lit("coinmetrics_export").alias("source"))
    precedence = {group: ["coinmetrics_export", SOURCE] for group in Group}
    blocks = chained(blocks_of, times_of(FIRST, [144, 144, 3]), height=0)
    built = build(from_blocks(inputs_of, values_of, blocks, values=totals, precedence=precedence))
    assert built.chosen["block_count"] == "coinmetrics_export"
    assert built.tables["capitulation_daily"]["is_final"].all()
    (compared,) = [
        check for check in built.checks if check.check_name == "blocks of all pools are the blocks of the day"
    ]
    assert compared.severity == "warning"
    assert dict(built.tables["pool_daily"].select("day", "is_final").iter_rows()) == {day(0): True, day(1): False}


def test_state_is_unknown_before_a_day_is_final(inputs_of: InputsOf, values_of: Builder, market: Market) -> None:
    now = datetime.combine(day(LONG - 1), time(1), tzinfo=UTC)
    built = build(inputs_of(values=values_of(FIRST, market(LONG)), now=now))
    assert [row(built, LONG - n)["is_final"] for n in (3, 2, 1)] == [True, False, False]
    assert [row(built, LONG - n)["capitulation_state"] is None for n in (3, 2, 1)] == [False, True, True]
    assert reason(built, "capitulation_state", LONG - 1) == "day is not final"
    assert reason(built, "capitulation_state_reason", LONG - 1) == "day is not final"


def test_state_without_a_year_of_prices_is_unknown_for_that(
    inputs_of: InputsOf, values_of: Builder, market: Market
) -> None:
    built = build(inputs_of(values=values_of(FIRST, market(FEW))))
    assert row(built, FEW - 1)["score_hashrate"] is not None
    assert row(built, FEW - 1)["capitulation_state"] is None
    assert reason(built, "capitulation_state", FEW - 1) == "too few of 365 days of price_usd"


# Ranges, order, repetition


def test_nothing_after_the_last_day_is_published_or_used(
    inputs_of: InputsOf, values_of: Builder, blocks_of: Builder, times_of: TimesOf, market: Market
) -> None:
    flows = transfers([(day(n), "X", "P", n, 1, 1) for n in range(60)])
    everything = inputs_of(
        blocks=chained(blocks_of, times_of(FIRST, [144] * 60), height=0),
        block_source="pool_blocks_export",
        values=values_of(FIRST, market(60)),
        flows=flows,
        flow_source=SOURCE,
        through=day(40),
    )
    cut = replace(
        everything,
        values=everything.values.filter(pl.col("day") <= day(40)),
        flows=flows.filter(pl.col("day") <= day(40)),
    )
    built = build(everything)
    assert_same(built, build(cut))
    empty = {MINER_FLOW_DAILY.name, MINER_TRANSFER.name, DEAL_CURRENT.name, LEASE_ECONOMICS.name, FILING_CANDIDATE.name}
    assert set(built.tables[CLAIM.name]["verdict"]) == {"not measurable"}
    empty |= {RULE_COMPARISON.name, "megawatts_by_company", "megawatts_by_tenant"}
    dated = {name for name, table in TABLES.items() if "day" in table.key}
    for name in dated - empty:
        assert built.tables[name]["day"].max() == day(40), name


def test_earlier_days_do_not_depend_on_later_ones(inputs_of: InputsOf, values_of: Builder, market: Market) -> None:
    values = values_of(FIRST, market(FEW))
    longer, shorter = (build(inputs_of(values=values, through=day(n))) for n in (FEW - 1, 80))
    days = longer.tables["capitulation_daily"].filter(pl.col("day") <= day(80))
    assert_frame_equal(shorter.tables["capitulation_daily"], days, check_exact=True)


@pytest.fixture(scope="module")
def mixed(
    inputs_of: InputsOf,
    values_of: Builder,
    blocks_of: Builder,
    times_of: TimesOf,
    market: Market,
    registry_table: Builder,
) -> Inputs:
    """Two sources, blocks of several pools, flows, two deals and several estimates."""
    one, other = market(FEW), market(FEW, seed=9)
    times = times_of(FIRST, [120, 150, 144] * 4)
    names = ["AntPool", "F2Pool", None, "AntPool", "Luxor"]
    known = {"as_of": date(2022, 1, 1), "known_at": date(2022, 2, 1)}
    base = inputs_of()
    fleet = registry_table(
        "fleet_efficiency",
        [
            *(known | {"fleet": f, "efficiency_j_per_th": 30.0, "pue_ratio": 1.1} for f in ("network", "new", "old")),
            {"as_of": day(10), "known_at": day(40), "fleet": "network", "efficiency_j_per_th": 28.0, "pue_ratio": 1.0},
        ],
    )
    deal = {"kind": "contract", "confidence": "confirmed", "critical_it_mw": 245.3, "term_years": 15.1}
    deal |= {"lease_type": "nnn", "miner": "riot"}
    deals = registry_table(
        "conversion_deal",
        [deal | {"deal_id": i, "announced_on": day(n), "known_at": day(n)} for i, n in (("a", 3), ("b", 3), ("c", 50))],
    )
    return inputs_of(
        blocks=chained(blocks_of, times, pool=[names[n % 5] for n in range(len(times))]),
        block_source="pool_blocks_export",
        values=pl.concat(
            [values_of(FIRST, one), values_of(FIRST, other).with_columns(pl.lit("coinmetrics_export").alias("source"))]
        ),
        flows=transfers(
            [
                (day(n), exchange, pool, 10**9 + 7 * n, 3, 10**8)
                for n in range(20)
                for exchange in ("X", "Y")
                for pool in ("P", "Q")
            ]
        ),
        flow_source="cryptoquant_export",
        precedence={group: ["coinmetrics_export", SOURCE, "pool_blocks_export"] for group in Group},
        reference=dict(base.reference) | {"fleet_efficiency": fleet, "conversion_deal": deals},
        through=day(FEW - 1),
    )


@pytest.fixture(scope="module")
def mixed_built(mixed: Inputs) -> Built:
    return build(mixed)


@settings(max_examples=10)
@given(seed=st.integers(0, 2**32 - 1))
def test_order_of_rows_changes_nothing(mixed: Inputs, mixed_built: Built, seed: int) -> None:
    def shuffled(frame: pl.DataFrame) -> pl.DataFrame:
        return frame.sample(fraction=1, shuffle=True, seed=seed)

    other = replace(
        mixed,
        blocks=shuffled(mixed.blocks),
        values=shuffled(mixed.values),
        flows=shuffled(mixed.flows),
        reference={name: shuffled(frame) for name, frame in mixed.reference.items()},
    )
    assert_same(build(other), mixed_built)


def test_same_inputs_give_the_same_tables(mixed: Inputs, mixed_built: Built) -> None:
    assert_same(build(mixed), mixed_built)


def test_mixed_inputs_fill_every_table(mixed_built: Built) -> None:
    filled = {name for name, frame in mixed_built.tables.items() if frame.height}
    # No export states single transactions or filings, and a few days have no state to compare.
    empty = {MINER_FLOW_DAILY.name, MINER_TRANSFER.name, FILING_CANDIDATE.name, RULE_COMPARISON.name}
    of_rules = {
        "hashrate_left_for_ai",
        "capitulation_episode",
        "signal_backtest",
        "signal_first_published",
        "price_low",
        "price_low_by_rule",
    }
    assert filled == TABLES.keys() - empty - of_rules
    assert mixed_built.tables["conversion_daily"]["day"].min() == day(3)


def test_tables_name_the_source_they_rest_on(mixed_built: Built) -> None:
    sources = {name: set(frame["sources"].unique()) for name, frame in mixed_built.tables.items()}
    assert sources == {
        # Only blocks state the fees of the last 144 of them.
        "capitulation_daily": {"coinmetrics_export", "coinmetrics_export,pool_blocks_export"},
        # The deals are set beside what mining earned on the day.
        "conversion_daily": {"coinmetrics_export,registry", "coinmetrics_export,pool_blocks_export,registry"},
        "deal_current": {"registry"},
        "megawatts_by_company": {"registry"},
        "megawatts_by_tenant": {"registry"},
        "lease_economics": {"registry"},
        "security_daily": {"coinmetrics_export,registry", "coinmetrics_export,pool_blocks_export,registry"},
        "filing_candidate": set(),
        "rule_comparison": set(),
        "signal_backtest": set(),
        "signal_first_published": set(),
        "hashrate_left_for_ai": set(),
        "price_low": set(),
        "price_low_by_rule": set(),
        "capitulation_weekly": {"coinmetrics_export", "coinmetrics_export,pool_blocks_export"},
        "capitulation_monthly": {"coinmetrics_export", "coinmetrics_export,pool_blocks_export"},
        "capitulation_episode": set(),
        "pool_daily": {"pool_blocks_export"},
        "exchange_flow_daily": {"cryptoquant_export"},
        "exchange_flow_by_exchange_daily": {"cryptoquant_export"},
        "exchange_flow_by_pool_daily": {"cryptoquant_export"},
        "exchange_flow_total_daily": {"cryptoquant_export"},
        "flow_by_exchange": {"cryptoquant_export"},
        "miner_flow_daily": set(),
        "miner_transfer": set(),
        # One row a statement, of the columns it is about.
        "claim": {
            "registry",
            "coinmetrics_export",
            "coinmetrics_export,registry",
            "coinmetrics_export,pool_blocks_export,registry",
            "pool_blocks_export,registry",
        },
        "latest": {"coinmetrics_export,registry"},
    }
    assert mixed_built.origins[Origin.FLOWS] == "cryptoquant_export"


def test_history_that_ends_before_the_first_judged_day_compares_no_rule(
    inputs_of: InputsOf, values_of: Builder, market: Market
) -> None:
    built = build(inputs_of(values=values_of(RULES_FIRST_DAY - timedelta(days=LONG), market(LONG))))
    assert built.tables["capitulation_daily"]["capitulation_state"][-1] is not None
    assert built.tables["rule_comparison"].is_empty()
    assert built.tables["signal_backtest"].is_empty()
    assert built.tables["price_low_by_rule"].is_empty()
    assert built.tables["signal_first_published"].is_empty()


def test_inputs_are_left_as_they_were(mixed: Inputs) -> None:
    before = {name: getattr(mixed, name).clone() for name in ("blocks", "values", "flows")}
    build(mixed)
    for name, frame in before.items():
        assert_frame_equal(getattr(mixed, name), frame)


@settings(max_examples=5)
@given(factor=st.sampled_from([0.5, 2.0, 4.0]))
def test_shares_and_ratios_do_not_depend_on_the_unit_of_money(
    inputs_of: InputsOf, values_of: Builder, market: Market, factor: float
) -> None:
    ours = market(LONG)
    dearer = ours | {"price_usd": [factor * price for price in ours["price_usd"]]}
    plain, scaled = (
        build(inputs_of(values=values_of(FIRST, series))).tables["capitulation_daily"] for series in (ours, dearer)
    )
    same = ["fee_share_pct", "puell_issuance_ratio", "revenue_change_30d_pct", "mpi_ratio", "mpi_zscore"]
    assert_frame_equal(plain.select(same), scaled.select(same), rel_tol=1e-6)
    assert_frame_equal(plain.select(pl.col("miner_revenue_usd") * factor), scaled.select("miner_revenue_usd"))


# Flows by exchange


def test_flow_to_all_exchanges_comes_from_the_total_where_exchanges_are_not_separated(
    inputs_of: InputsOf, values_of: Builder, market: Market
) -> None:
    flows = market(30)
    flows["miner_to_exchange_sat"][7] = flows["miner_to_exchange_count"][7] = None
    flows["miner_to_exchange_count"][8] = None
    built = build(inputs_of(values=values_of(FIRST, flows)))
    published = built.tables["exchange_flow_total_daily"]
    assert set(published["sources"]) == {SOURCE}
    parts = ("exchange_flow_daily", "exchange_flow_by_exchange_daily", "exchange_flow_by_pool_daily")
    assert [built.tables[name].height for name in parts] == [0, 0, 0]
    assert published["day"].to_list() == [day(n) for n in range(30) if n != 7]
    assert published["miner_to_exchange_count"].null_count() == 1
    both = published.join(built.tables["capitulation_daily"], on="day")
    assert (both["miner_to_exchange_btc"] - both["miner_to_exchange_btc_right"]).abs().max() <= 1e-8
    assert built.origins[Origin.FLOWS] == SOURCE
    assert failed(built.checks) == []


def test_flows_that_do_not_add_up_to_the_day_stop_the_publication(
    inputs_of: InputsOf, values_of: Builder, market: Market
) -> None:
    series = market(20)
    exact = [(day(n), "X", "P", int(sat), 12, 1) for n, sat in enumerate(series["miner_to_exchange_sat"])]
    short = [(on, "X", "P", max(0, sat - 10), 12, 1) for on, _, _, sat, _, _ in exact]
    for rows, stops in ((exact, False), (short, True)):
        built = build(inputs_of(values=values_of(FIRST, series), flows=transfers(rows), flow_source=SOURCE))
        assert bool(failed(built.checks)) is stops


# What is refused


def test_no_source_that_states_a_day_is_an_error_with_what_to_do(inputs_of: InputsOf) -> None:
    with pytest.raises(NothingToPublishError, match="hashpivot doctor"):
        build(inputs_of())


def test_values_of_sources_that_no_profile_ranks_are_nothing_to_publish(
    inputs_of: InputsOf, values_of: Builder, market: Market
) -> None:
    with pytest.raises(NothingToPublishError):
        build(inputs_of(values=values_of(FIRST, market(5)), precedence={}))


def batch(table: ObservedTable, rows: pl.DataFrame, *, minute: int = 0) -> Batch:
    observed_at = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(minutes=minute)
    return Batch(source=SOURCE, table=table, origin="test", sha256=f"{minute:064d}", observed_at=observed_at, rows=rows)


def test_row_that_comes_twice_is_refused_before_the_build(
    blocks_of: Builder, times_of: TimesOf, values_of: Builder
) -> None:
    blocks = blocks_of(times_of(FIRST, [3]))
    values = values_of(FIRST, {"price_usd": [1.0, 2.0]}).drop("source")
    flows = transfers([(FIRST, "X", "P", 1, 1, 1)])
    for table, rows in (
        (ObservedTable.BLOCK, blocks),
        (ObservedTable.DAILY_VALUE, values),
        (ObservedTable.EXCHANGE_FLOW, flows),
    ):
        batch(table, rows)
        with pytest.raises(ContractError, match="contract failure") as refused:
            batch(table, pl.concat([rows, rows.head(1)]))
        assert refused.value.table == table.value


def test_re_organised_chain_gives_what_a_clean_run_gives(
    tmp_path: Path, inputs_of: InputsOf, values_of: Builder, blocks_of: Builder, times_of: TimesOf
) -> None:
    times = times_of(FIRST, [144] * 4)
    first = chained(blocks_of, times, height=0)
    # The last ten blocks are replaced: other fees, another pool, other times, one of them on the next day.
    moved = [*times[:-10], *(t + timedelta(minutes=9) for t in times[-10:])]
    second = chained(
        blocks_of,
        moved,
        height=0,
        fees_sat=[2_000_000] * (len(times) - 10) + [5_000_000] * 10,
        pool=["A"] * (len(times) - 10) + ["B"] * 10,
    )

    def kept(name: str, versions: Sequence[pl.DataFrame]) -> Built:
        with open_working(tmp_path / name / "working.duckdb") as connection:
            for minute, blocks in enumerate(versions):
                vintages.append(connection, batch(ObservedTable.BLOCK, blocks, minute=minute), f"run-{minute}")
            source, latest = vintages.latest(connection, ObservedTable.BLOCK, [SOURCE])
        return build(from_blocks(inputs_of, values_of, latest, block_source=source))

    clean, twice = kept("clean", [second]), kept("twice", [first, second])
    assert_same(twice, clean)
    before = kept("before", [first])  # or the two chains would not differ where it shows
    assert not before.tables["pool_daily"].equals(clean.tables["pool_daily"]) or not before.tables[
        "capitulation_daily"
    ].equals(clean.tables["capitulation_daily"])
