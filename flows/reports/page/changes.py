"""What is different from the publication before: state and score, past days, deals, verdicts, values of sources."""

from collections.abc import Iterator
from typing import Any, Final

import polars as pl

from flows.reports.page.given import SCORES, Before, Given, newest_scored
from flows.reports.summary import number, words
from warehouse.publication_queries import PUBLISHED

LEAST_MOVE: Final = 0.05
"""Points of the score, and part of a figure of a deal; less is not called a change."""
MOST_LISTED: Final = 12


def changes(given: Given) -> list[dict[str, str]]:
    """One row a change: what, and how. Empty where nothing changed, or there is no publication before."""
    before = given.before
    if before is None:
        return []
    found = [*_state(given, before), *_past_days(given, before), *_deals(given, before), *_verdicts(given, before)]
    return [*found, *_revisions(given)]


def _state(given: Given, before: Before) -> Iterator[dict[str, str]]:
    now, then = given.newest_scored(), newest_scored(before.tables["capitulation_daily"])
    if now["day"] != then["day"]:
        yield {"what": "Newest day with a score", "how": f"{then['day']} to {now['day']}"}
    if now["capitulation_state"] != then["capitulation_state"]:
        states = (words(day["capitulation_state"]) for day in (then, now))
        yield {"what": "State", "how": " to ".join(states)}
    if None not in (now["capitulation_score"], then["capitulation_score"]):
        move = now["capitulation_score"] - then["capitulation_score"]
        if abs(move) >= LEAST_MOVE:
            score = number(now["capitulation_score"], "{:.1f}")
            yield {"what": "Score", "how": f"{move:+.1f} to {score} points"}


def _past_days(given: Given, before: Before) -> Iterator[dict[str, str]]:
    """Days that both publications have, and whose score or state is another one now."""
    then = before.tables["capitulation_daily"]
    both = given.tables["capitulation_daily"].select(SCORES).join(then, on="day", how="inner", suffix="_then")
    score, score_then = pl.col("capitulation_score"), pl.col("capitulation_score_then")
    moved = both.filter(
        ((score - score_then).abs() >= LEAST_MOVE).fill_null(False)
        | (score.is_null() != score_then.is_null())
        | pl.col("capitulation_state").ne_missing(pl.col("capitulation_state_then"))
    )
    if moved.height:
        days = f"{moved['day'][0]} to {moved['day'][-1]}" if moved.height > 1 else f"{moved['day'][0]}"
        yield {"what": "Days already published", "how": f"score or state of {moved.height:,} is another now: {days}"}


def _deals(given: Given, before: Before) -> Iterator[dict[str, str]]:
    now = {row["deal_id"]: row for row in given.tables["deal_current"].iter_rows(named=True)}
    then = {row["deal_id"]: row for row in before.tables["deal_current"].iter_rows(named=True)}
    listed = [
        *(("New deal", name) for name in now if name not in then),
        *(("Deal no longer standing", name) for name in then if name not in now),
        *(("Deal restated", name) for name in now if name in then and _differs(now[name], then[name])),
    ]
    for what, name in listed[:MOST_LISTED]:
        deal = now.get(name, {})
        parties = f"{deal['miner_name']} for {deal['tenant_name'] or 'a tenant not named'}" if deal else name
        yield {"what": what, "how": f"{parties}, {number(deal.get('critical_it_mw'), '{:,.0f} MW')}"}
    if len(listed) > MOST_LISTED:
        yield {"what": "Deals", "how": f"and {len(listed) - MOST_LISTED} more"}


def _differs(now: dict[str, Any], then: dict[str, Any]) -> bool:
    return any(now[name] != value for name, value in then.items())


def _verdicts(given: Given, before: Before) -> Iterator[dict[str, str]]:
    then = dict(before.tables["claim"].select("claim", "verdict").iter_rows())
    for claim in given.tables["claim"].iter_rows(named=True):
        if claim["claim"] in then and claim["verdict"] != then[claim["claim"]]:
            yield {"what": f"Verdict: {claim['statement']}", "how": f"{then[claim['claim']]} to {claim['verdict']}"}


def _revisions(given: Given) -> Iterator[dict[str, str]]:
    run = given.run
    if run.get("ended_at") is None:
        return
    revised = given.meta["revisions"].filter(
        pl.col("observed_at").is_between(run["started_at"], run["ended_at"]) & (pl.col("source") != PUBLISHED)
    )
    by_source = revised.group_by("source").agg(count=pl.len(), first=pl.col("day").min(), last=pl.col("day").max())
    for source, count, first, last in by_source.sort("source").iter_rows():
        days = f"{first}" if first == last else f"{first} to {last}"
        yield {"what": f"Revised by {source}", "how": f"{count:,} values of {days}"}
