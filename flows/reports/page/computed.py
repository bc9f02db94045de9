"""The few columns of charts that no table has: the hash price that pays the cost, and megawatts by company."""

from collections.abc import Mapping
from datetime import date
from typing import Any, Final, get_args

import polars as pl

from flows.reports.page.charts import BREAK_EVEN, Chart, Colour, Line
from flows.reports.page.facts import ColumnFacts
from flows.reports.page.series import Axis, packed
from schemas.text import visible
from transforms.metrics.megawatts import NOT_NAMED as NO_PARTY

MOST_NAMED: Final = 6
"""Companies with an area of their own; all others are one."""
OTHERS: Final = "Others"
NOT_NAMED: Final = "Not named"
COLOURS: Final[tuple[Colour, ...]] = get_args(Colour)
HASHPRICE: Final = "hashprice_7d_usd_per_phs_day"
COVERAGES: Final[Mapping[str, str]] = {
    "low": "cost_coverage_high_ratio",
    "": "cost_coverage_ratio",
    "high": "cost_coverage_low_ratio",
}
"""By end of the band of the cost, the coverage that it follows from: where the cost is low, more of it is covered."""


def _break_even_key(end: str) -> str:
    return f"{BREAK_EVEN}{f'_{end}' if end else ''}_usd_per_phs_day"


def break_even(days: pl.DataFrame) -> dict[str, pl.Series]:
    """By key the hash price that would pay the all-in cost on each of `days`, and the ends of its band."""
    priced = days.select(
        (pl.col(HASHPRICE) / pl.col(ratio)).alias(_break_even_key(end)) for end, ratio in COVERAGES.items()
    )
    return priced.to_dict()


def break_even_facts(coverage: ColumnFacts) -> dict[str, ColumnFacts]:
    """Facts of these three columns; error and sources are those of the `coverage`."""
    return {
        key: ColumnFacts(
            key=key,
            unit="USD per PH/s per day",
            description=f"Hash price that would pay the all-in cash cost: {HASHPRICE} over {ratio}.",
            error=coverage.error,
            null_rule="NULL when one of both is.",
            sources=coverage.sources,
        )
        for end, ratio in COVERAGES.items()
        for key in (_break_even_key(end),)
    }


def by_party(
    days: pl.DataFrame, party: str, column: str, names: Mapping[str, str], axis: Axis
) -> dict[str, dict[str, Any]]:
    """By name of each `party` (`miner` or `tenant`) its `column` of `days`, packed.

    `days`: rows of `megawatts_by_company` or `megawatts_by_tenant`. The parties with most on the last day come first,
    and those beyond `MOST_NAMED` are one.
    """
    mw = (
        days.select("day", name=pl.col(party).replace({**names, NO_PARTY: NOT_NAMED}), mw=column)
        .group_by("day", "name")
        .agg(pl.col("mw").sum())
        .sort("day", "name")
    )
    sizes = mw.group_by("name").agg(most=pl.col("mw").max(), mw=pl.col("mw").last()).filter(pl.col("most") > 0)
    order = sizes.sort(["mw", "most", "name"], descending=[True, True, False])["name"].to_list()
    if not order:
        return {}
    named = order[:MOST_NAMED]
    wide = (
        mw.filter(pl.col("name").is_in(order))
        .with_columns(name=pl.when(pl.col("name").is_in(named)).then("name").otherwise(pl.lit(OTHERS)))
        .pivot(on="name", index="day", values="mw", aggregate_function="sum")
        .sort("day")
        .fill_null(0)
    )
    shown = [name for name in (*named, OTHERS) if name in wide.columns]
    return {visible(name): packed(wide[name], axis.index(wide["day"][0])) for name in shown}


def party_chart(
    name: str, title: str, note: str, parties: Mapping[str, dict[str, Any]]
) -> tuple[Chart, dict[str, dict[str, Any]]]:
    """A stacked chart of what `by_party` has found, and its columns by key."""
    keys = {party: f"report.{name}_{number}_mw" for number, party in enumerate(parties)}
    lines = tuple(
        Line(key=key, label=party, colour=COLOURS[number % len(COLOURS)], kind="stacked")
        for number, (party, key) in enumerate(keys.items())
    )
    chart = Chart(
        name=name, group="conversion", title=title, note=note, unit="MW", lines=lines, zero=True, shaded=False, marks=()
    )
    return chart, {key: parties[party] for party, key in keys.items()}


def first_contract(days: pl.DataFrame) -> date | None:
    """The first day with contracted power; None before any."""
    known = days.filter(pl.col("contracted_critical_it_mw") > 0)
    return None if known.is_empty() else known["day"][0]
