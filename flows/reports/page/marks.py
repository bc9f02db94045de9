"""What is marked in the charts by its days: states, halvings, outages, breaks of labels."""

import polars as pl

from flows.reports.page.series import Axis
from schemas.text import visible
from transforms.capitulation import NORMAL


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
