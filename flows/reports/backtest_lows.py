"""The part of the back-test on lows of the price: how far before or after them the episodes of each rule lie."""

from collections.abc import Iterator
from datetime import date
from typing import Any, Final

import polars as pl

from flows.reports.layout import lines_of
from transforms.inputs.lows import CYCLE, FALL_RATIO, HIT_AFTER_DAYS, HIT_BEFORE_DAYS, LOCAL, LOW_KINDS
from transforms.inputs.signals import OURS
from warehouse import publication_queries
from warehouse.reading import OpenPublication

OUR_RULE: Final = OURS[0]
COLUMNS: Final = ("low", "below_high_%", "start_days", "peak_days", "end_days", "hit")


def read_lows(publication: OpenPublication) -> pl.DataFrame:
    """Rows of `price_low_by_rule`, each with those columns of its low that it lacks."""
    by_rule, lows = (
        publication_queries.table_frame(publication, "main", name).drop("sources")
        for name in ("price_low_by_rule", "price_low")
    )
    return by_rule.join(lows, on=["low_kind", "low_on"], how="left", validate="m:1", maintain_order="left")


def lines(found: pl.DataFrame, width: int) -> Iterator[str]:
    """What is printed, at most `width` columns wide: each low of a cycle beside our rule, then counts of all rules."""
    if found.is_empty():
        yield "Lows of the price: none is known yet on these days."
        return
    ours = found.filter(rule=OUR_RULE, low_kind=CYCLE)
    yield "Lows of a cycle, known a year later, and the nearest episode of our rule:"
    yield ""
    yield from lines_of(COLUMNS, [_low(row) for row in ours.iter_rows(named=True)], width)
    yield ""
    yield "Days from start, highest score and end of the episode to the low, negative"
    yield "where the low came first. hit: the low lies in the episode, or no more than"
    yield f"{HIT_BEFORE_DAYS} days before or {HIT_AFTER_DAYS} after it."
    yield ""
    yield "All rules:"
    yield ""
    names = ["rule", *(f"{kind}_{what}" for kind in LOW_KINDS for what in ("lows", "episodes"))]
    rows = [_rule(rule, rows) for (rule,), rows in found.group_by("rule", maintain_order=True)]
    yield from lines_of([*names, "start", "days_%"], rows, width)
    yield ""
    yield "lows: hit, of all. episodes: that hit one, of those old enough to be judged."
    yield f"local: lowest of 91 days, {FALL_RATIO[LOCAL]:.0%} or more below those before. start: median days"
    yield "from the start to the cycle lows that were hit. days: share of all days on"
    yield "which a low would be hit, which is what chance hits."


def _low(row: dict[str, Any]) -> tuple[date | float | str | None, ...]:
    days = (row[f"{name}_to_low_days"] for name in ("start", "peak", "end"))
    return (row["low_on"], round(row["low_of_high_pct"], 1), *days, "yes" if row["is_hit"] else "no")


def _rule(rule: Any, rows: pl.DataFrame) -> tuple[float | str | None, ...]:
    counts: list[str] = []
    for kind in LOW_KINDS:
        each = rows.filter(low_kind=kind)
        hits = f"{each['is_hit'].sum()} of {each.height}"
        first = each.row(0, named=True) if each.height else {"hit_episode_count": 0, "judged_episode_count": 0}
        counts += [hits, f"{first['hit_episode_count']} of {first['judged_episode_count']}"]
    start = rows.filter(pl.col("is_hit"), low_kind=CYCLE)["start_to_low_days"].median()
    return (str(rule), *counts, start, round(rows["window_share_pct"][0], 1))
