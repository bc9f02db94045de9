"""Whether history is attributed with the labels that a run has now, or with those of the day it was read."""

from typing import Final

import polars as pl

from schemas.check import Check, CheckFacts

SAME_LABELS: Final = CheckFacts(
    name="flows are attributed with the present labels",
    severity="warning",
    window="all days of attributed flows",
    reason="Figures of different labels are not comparable: more labels find more transfers.",
    fault="a new list of exchange addresses",
)
CATALOGUE: Final = (SAME_LABELS,)


def check_label_sets(days: pl.DataFrame, present: str) -> Check:
    """Compare the `label_set` of each `day`, whose beginning is the labels that were used, with the `present` one."""
    other = days.filter(~pl.col("label_set").str.starts_with(present)).sort("day")
    found = f"{days.height} days"
    if not other.is_empty():
        found = (
            f"label sets differ from {other['day'][0]} on, on {other.height} of {days.height} days; "
            f"`hashpivot relabel` attributes them anew with label set {present}"
        )
    return Check(
        check_name=SAME_LABELS.name,
        table_name="miner_flow_daily",
        severity=SAME_LABELS.severity,
        passed=other.is_empty(),
        value=float(other.height),
        expected=f"label set {present} on every day",
        detail=found,
    )
