"""The squeeze of the miners by day: series of all sources beside dated costs."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import polars as pl

from schemas.check import Check, Severity
from schemas.series import Group
from schemas.table import Lineage, Origin, Table, Tables, starting_with
from transforms.capitulation import (
    CAPITULATION,
    DEEP_CAPITULATION,
    HASHRATE_DECLINE,
    NORMAL,
    OUTAGE,
    PARTS,
    RECOVERY,
    RULE,
    SQUEEZE,
)
from transforms.chain import counted_days
from transforms.checks.between_sources import PRICE, check_conflicts, check_issuance, check_prices
from transforms.checks.days import NORMAL_TIMES, RECENT_DAYS, none_broken
from transforms.checks.difficulty import check_difficulty_by_count, check_difficulty_by_times
from transforms.checks.holes import check_computed, check_gaps, check_missing_blocks, check_pools_named
from transforms.checks.identities import check_fees, check_identities
from transforms.checks.last_publication import check_last_publication
from transforms.checks.other_chains import on_test_chain
from transforms.checks.own_scale import check_own_scale
from transforms.checks.recent_sources import check_recent_sources
from transforms.checks.reported import check_reported, check_reported_hashrate
from transforms.inputs import outages
from transforms.inputs.cost import RESTS_ON as COSTS_REST_ON
from transforms.inputs.cost import known_inputs
from transforms.inputs.flow_regimes import regime_days
from transforms.metrics import (
    cost,
    day,
    flow_bursts,
    flow_regimes,
    hashprice,
    hashrate,
    income,
    miner_flows,
    puell,
    regime,
    score,
    stated_flows,
    supply,
    sustainability,
)
from transforms.prepare import Prepared

SATOSHI_BTC: Final = 1e-8
EXACT: Final = 1e-9
BLOCKS_PER_DAY_HARD: Final = (40, 260)
BLOCKS_PER_DAY_USUAL: Final = (100, 200)
RETARGET_RATIO: Final = (0.25, 4.0)
PUELL_USUAL: Final = (0.0, 20.0)
EFFICIENCY_STEP_RATIO: Final = 0.01
REVENUE_CHANGE_USUAL_PCT: Final = (-95.0, 400.0)
MPI_USUAL: Final = (-5.0, 30.0)
HASHPRICE_TOLERANCE: Final = 0.15

BANDS: Final = (
    ("fleet_efficiency_j_per_th", "fleet_efficiency_low_j_per_th", "fleet_efficiency_high_j_per_th"),
    ("cost_coverage_ratio", "cost_coverage_low_ratio", "cost_coverage_high_ratio"),
    ("fleet_unprofitable_share_pct", "fleet_unprofitable_share_low_pct", "fleet_unprofitable_share_high_pct"),
)
"""Column, and the low and the high end of its band."""


def _agree() -> pl.Expr:
    """Whether score and state agree: each state lies within its band, whose lower end hysteresis lowers.

    As no side has more than 50 points, a capitulation then has both.
    """
    state, score = pl.col("capitulation_state"), pl.col("capitulation_score")
    one_side, both_sides, hard = RULE.limits
    bands = {
        (NORMAL, RECOVERY): score < one_side,
        (SQUEEZE, HASHRATE_DECLINE, OUTAGE): (score > one_side - RULE.hysteresis) & (score < both_sides),
        (CAPITULATION,): (score > both_sides - RULE.hysteresis) & (score < hard),
        (DEEP_CAPITULATION,): score > hard - RULE.hysteresis,
    }
    return pl.all_horizontal(~state.is_in(states) | inside for states, inside in bands.items())


def frame(given: Prepared, _: Tables) -> pl.DataFrame:
    """The resolved days with what fleets spend and pay and which outage covers them, as known then, and regimes."""
    reference = given.inputs.reference
    costs = known_inputs(given.days, reference["fleet_efficiency"], reference["power_price"])
    chosen = given.resolved.chosen
    is_attributed = chosen.get("miner_to_exchange_sat") == given.inputs.transfer_source
    labelled = given.inputs.flow_days.sums if is_attributed else None
    regimes = regime_days(given.days, reference["flow_regime"], chosen, labelled)
    days = given.days.join(costs, on="day", how="left", validate="1:1", maintain_order="left").join(
        regimes, on="day", how="left", validate="1:1", maintain_order="left"
    )
    return days.with_columns(outages.covering_event(reference["outage_event"]))


def checks(given: Prepared, tables: Tables) -> Iterator[Check]:
    """Checks of the days themselves, of what vendors report of them, and of the sources they were chosen from."""
    of_any_chain = _checks(given, tables)
    return on_test_chain(of_any_chain) if given.inputs.is_test_chain else of_any_chain


def _checks(given: Prepared, tables: Tables) -> Iterator[Check]:
    days, resolved = tables[TABLE.name], given.resolved
    yield from check_days(days)
    yield from check_reported_hashrate(resolved.days, days)
    yield from check_reported(resolved.days, days, resolved.chosen)
    yield from check_conflicts(resolved.conflicts)
    ranked = given.inputs.precedence.get(Group.PRICE, ())
    yield from check_prices(given.values, ranked, resolved.chosen.get(PRICE), given.inputs.through)
    yield from check_issuance(resolved.days)
    yield from check_series(given)
    if given.inputs.published is not None:
        yield from check_last_publication(days, given.inputs.published)


def check_series(given: Prepared) -> Iterator[Check]:
    """Check the series that were chosen, before anything is made of them: against their own past, and each other."""
    days, chosen = given.resolved.days, given.resolved.chosen
    yield from check_own_scale(days)
    yield from check_identities(days, chosen)
    yield from check_fees(given.values, given.inputs.precedence.get(Group.CHAIN, ()), days)
    yield from check_recent_sources(given.values, given.inputs.precedence, chosen)
    yield from check_computed(given.resolved.computed, chosen)
    yield from check_gaps(days)
    counted = counted_days(days)
    # One that is computed from a vendor's hash rate was stated by nobody, so that it warns of that instead of stopping.
    of_difficulty = [*check_difficulty_by_count(counted)] if counted is not None else []
    for check in (*of_difficulty, *check_difficulty_by_times(given.blocks, days)):
        yield replace(check, severity="warning") if "difficulty" in given.resolved.computed else check
    yield from check_pools_named(given.blocks)
    yield from check_missing_blocks(given.blocks)


def check_days(days: pl.DataFrame) -> Iterator[Check]:
    """Check the finished `capitulation_daily`, one row a day."""
    yield none_broken(
        days, "calendar has no gap", "error", pl.col("day").diff().dt.total_days().fill_null(1) == 1, "one row a day"
    )
    yield none_broken(
        days,
        "no final day after one that is not",
        "error",
        pl.col("is_final") <= pl.col("is_final").shift(fill_value=True),
        "is_final never returns to true",
    )
    modern = days.filter(pl.col("day") >= NORMAL_TIMES)
    counted = modern.drop_nulls("block_count")
    limits: tuple[tuple[Severity, pl.DataFrame, tuple[int, int], str], ...] = (
        ("error", counted, BLOCKS_PER_DAY_HARD, "since 2013"),
        ("warning", counted.tail(RECENT_DAYS), BLOCKS_PER_DAY_USUAL, f"on the last {RECENT_DAYS} days"),
    )
    for severity, judged, (low, high), when in limits:
        inside = pl.col("block_count").is_between(low, high)
        yield none_broken(judged, "blocks of a day", severity, inside, f"{low} to {high} {when}")
    step = pl.col("difficulty") / pl.col("difficulty").shift()
    least, greatest = RETARGET_RATIO
    yield none_broken(
        days,
        "difficulty moves within one retarget a day",
        "error",
        step.is_between(least, greatest),
        f"ratio {least} to {greatest}",
    )
    most = 50.0 / pl.lit(2.0).pow(pl.col("halving_count").shift(fill_value=0)) * pl.col("block_count")
    yield none_broken(
        days,
        "issuance is no more than allowed",
        "error",
        pl.col("issuance_btc") <= most * (1 + 1e-9),
        "the subsidy schedule",
    )
    efficiency = pl.col("fleet_efficiency_j_per_th")
    yield none_broken(
        days,
        "fleet efficiency has no step",
        "error",
        (efficiency / efficiency.shift() - 1).abs() < EFFICIENCY_STEP_RATIO,
        f"less than {EFFICIENCY_STEP_RATIO:.0%} a day",
    )
    usual = {
        "puell_issuance_ratio": PUELL_USUAL,
        "revenue_change_30d_pct": REVENUE_CHANGE_USUAL_PCT,
        "mpi_zscore": MPI_USUAL,
    }
    for column, (bottom, top) in usual.items():
        inside = pl.col(column).is_between(bottom, top, closed="none")
        yield none_broken(modern, f"{column} is usual", "warning", inside, f"between {bottom} and {top} since 2013")
    yield none_broken(
        days,
        "no more goes to exchanges than leaves the miners",
        "warning",
        pl.col("miner_to_exchange_btc") <= pl.col("miner_outflow_btc"),
        "flow to exchanges up to the outflow",
    )
    expected = pl.col("hashprice_usd_per_phs_day").rolling_mean(7)
    realised = pl.col("hashprice_realised_usd_per_phs_day").rolling_mean(7)
    yield none_broken(
        modern,
        "both forms of hashprice agree over a week",
        "warning",
        (expected / realised - 1).abs() <= HASHPRICE_TOLERANCE,
        "within 15 % since 2013",
    )


STARTER: Final = (
    day.day,
    regime.capitulation_state,
    regime.capitulation_state_reason,
    score.capitulation_score,
    score.score_income_level,
    score.score_income_per_hash,
    score.score_hashrate,
    supply.price_usd,
    puell.puell_issuance_ratio,
    sustainability.revenue_change_30d_exhalving_pct,
    hashrate.hash_ribbon_state,
    hashprice.hashprice_usd_per_phs_day,
    cost.cost_coverage_ratio,
    flow_regimes.miner_to_exchange_30d_btc,
    day.is_final,
)

TABLE: Final = Table(
    name="capitulation_daily",
    description="How hard Bitcoin's miners are being squeezed: one row a UTC day.",
    key=("day",),
    starter_count=len(STARTER),
    metrics=starting_with(
        STARTER,
        (
            day.day,
            *supply.METRICS,
            *hashrate.METRICS,
            *hashprice.METRICS,
            *puell.METRICS,
            *sustainability.METRICS,
            *miner_flows.METRICS,
            *flow_regimes.METRICS,
            *flow_bursts.METRICS,
            *stated_flows.METRICS,
            *cost.METRICS,
            *income.METRICS,
            *score.METRICS,
            *regime.METRICS,
            day.is_final,
            day.sources,
        ),
    ),
    main=("price_usd", "block_count", "issuance_btc", "fees_btc", "difficulty"),
    truths={
        "revenue is issuance plus fees": (
            (pl.col("miner_revenue_btc") - pl.col("issuance_btc") - pl.col("fees_btc")).abs() <= SATOSHI_BTC
        ),
        "a NULL rank, ratio, burst or net release of flows has a reason": (
            pl.col("flow_null_reason").is_not_null()
            | pl.all_horizontal(pl.col(name).is_not_null() for name in flow_regimes.COMPARED)
        ),
        "mean transfer times count is the total": (
            (
                pl.col("miner_to_exchange_mean_btc") * pl.col("miner_to_exchange_count")
                - pl.col("miner_to_exchange_btc")
            ).abs()
            <= SATOSHI_BTC
        ),
        **{
            f"{name} lies in its band": pl.col(low).le(pl.col(name)) & pl.col(name).le(pl.col(high))
            for name, low, high in BANDS
        },
        "the parts of the score add up": ((pl.sum_horizontal(PARTS) - pl.col("capitulation_score")).abs() <= EXACT),
        "score and state agree": _agree(),
    },
    frame=frame,
    checks=checks,
    lineage=Lineage(origin=Origin.REGISTRY, by_column=True, rests_on={**COSTS_REST_ON, **outages.RESTS_ON}),
)
