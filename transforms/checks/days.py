"""One check of many days: on how many of them a condition is false, and what was found on the first."""

from datetime import date
from typing import Final

import polars as pl

from schemas.check import Check, Severity

NORMAL_TIMES: Final = date(2013, 1, 1)
"""Before that blocks came in bursts that no later bound fits."""
MINING_TIMES: Final = date(2011, 1, 1)
"""Before that so few mined that the difficulty stood at its least or followed single machines."""
LABELLED_TIMES: Final = date(2014, 1, 1)
"""Before that vendors knew few wallets of miners and exchanges, and their flows jump by factors of ten thousand."""
RECENT_DAYS: Final = 30
"""The last known days of a series, which a publication is judged by."""
MOST_NAMED: Final = 3


def none_broken(
    frame: pl.DataFrame,
    name: str,
    severity: Severity,
    holds: pl.Expr,
    expected: str,
    *,
    counted: str = "days",
) -> Check:
    """Count the rows on which `holds` is false, and name what was judged on the first; unknown breaks nothing.

    `frame` has one row a day, or one a week from its `day` on: `counted` is what the rows are called.
    """
    broken = frame.filter(~holds.fill_null(True)).unique("day", keep="first").sort("day")
    judged = [column for column in holds.meta.root_names() if column != "day"]
    first = broken.head(MOST_NAMED).select("day", *dict.fromkeys(judged)).iter_rows(named=True)
    named = ", ".join(_named(**row) for row in first)
    more = f" and {broken.height - MOST_NAMED} more" if broken.height > MOST_NAMED else ""
    return Check(
        check_name=name,
        severity=severity,
        passed=broken.is_empty(),
        value=float(broken.height),
        expected=expected,
        detail=f"{broken.height} of {frame.height} {counted} broken" + (f": {named}{more}" if named else ""),
    )


def _named(day: date, **values: float | bool | None) -> str:
    """A day and what was judged on it."""
    return " ".join([str(day), *(f"{name}={_figure(value)}" for name, value in values.items())])


def _figure(value: float | bool | None) -> str:
    if value is None or isinstance(value, bool):
        return "unknown" if value is None else str(value).lower()
    return f"{value:.12g}" if float(value).is_integer() else f"{value:.6g}"
