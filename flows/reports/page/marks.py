"""What is marked in the charts by its days: states, halvings, outages, breaks of labels; and episodes as a table."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Final

import polars as pl

from flows.reports.page.series import Axis
from schemas.text import visible
from transforms.capitulation import CAPITULATIONS, NORMAL

JOINED_DAYS: Final = 14
"""Capitulations with no more days between them are one episode."""


def states(days: pl.DataFrame, axis: Axis) -> list[tuple[int, int, str]]:
    """Unbroken runs of a state other than normal: first and last position on the `axis`, and the state."""
    runs = _runs(days, "capitulation_state").filter(pl.col("capitulation_state") != NORMAL)
    return [(axis.index(first), axis.index(last), state) for state, first, last in runs.iter_rows()]


def halvings(days: pl.DataFrame, axis: Axis) -> list[tuple[int, str]]:
    """Position of each halving within the `days`, and which it was."""
    counts = days.drop_nulls("halving_count").select("day", "halving_count")
    begun = counts.filter(pl.col("halving_count") > pl.col("halving_count").shift(1))
    return [(axis.index(day), f"Halving {count}") for day, count in begun.iter_rows()]


def outages(events: pl.DataFrame, axis: Axis) -> list[tuple[int, int, str]]:
    """First and last position of each dated outage, and its name, as the registry has it."""
    return [
        (axis.index(event["start_on"]), axis.index(event["end_on"]), visible(event["event"]))
        for event in events.sort("start_on").iter_rows(named=True)
        if axis.first <= event["start_on"] <= axis.last
    ]


def regimes(days: pl.DataFrame, known: pl.DataFrame, axis: Axis) -> list[tuple[int, str]]:
    """Position of each start of a regime of flows, and what changed then; `known` are rows of `flow_regime`."""
    reasons = {day: visible(reason) for day, reason in known.select("valid_from", "reason").iter_rows()}
    begun = days["flow_regime_start"].drop_nulls().unique().sort()
    return [
        (axis.index(day), reasons.get(day, "A break that the flow itself shows"))
        for day in begun
        if axis.first <= day <= axis.last
    ]


def episodes(days: pl.DataFrame) -> list[dict[str, Any]]:
    """Episodes of capitulation, the newest first: days, days in capitulation, highest score, price then and after.

    `change_pct`: the price on the last day of the episode against that on its first one. `after_180d_pct`: 180 days
    after the last day against that day; None where that is not known yet.
    """
    runs = _runs(days, "capitulation_state").filter(pl.col("capitulation_state").is_in(list(CAPITULATIONS)))
    prices = dict(days.select("day", "price_usd").iter_rows())
    found = []
    for first, last in _joined(runs):
        within = days.filter(pl.col("day").is_between(first, last))
        counted = within.filter(pl.col("capitulation_state").is_in(list(CAPITULATIONS)))
        found.append(
            {
                "first": first,
                "last": last,
                "is_over": last < days["day"][-1],
                "day_count": counted.height,
                "highest_score": counted["capitulation_score"].max(),
                "price_usd": prices.get(first),
                "change_pct": _change_pct(prices.get(first), prices.get(last)),
                "after_180d_pct": _change_pct(prices.get(last), prices.get(last + timedelta(days=180))),
            }
        )
    return found[::-1]


def _change_pct(before: float | None, after: float | None) -> float | None:
    return None if not before or after is None else 100 * (after / before - 1)


def _joined(runs: pl.DataFrame) -> Iterator[tuple[Any, Any]]:
    begun, ended = None, None
    for _, first, last in runs.iter_rows():
        if ended is not None and (first - ended).days - 1 <= JOINED_DAYS:
            ended = last
            continue
        if begun is not None:
            yield begun, ended
        begun, ended = first, last
    if begun is not None:
        yield begun, ended


def _runs(days: pl.DataFrame, column: str) -> pl.DataFrame:
    """One row an unbroken run of the same value of `column`: the value, first day, last day; runs of NULL left out."""
    return (
        days.select("day", column)
        .with_columns(run=pl.col(column).rle_id())
        .group_by("run", maintain_order=True)
        .agg(pl.col(column).first(), first=pl.col("day").first(), last=pl.col("day").last())
        .drop("run")
        .drop_nulls(column)
    )
