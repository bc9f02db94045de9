"""A publication in a page of Markdown: the state, what moved the score, data quality, revisions, coverage."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Final

from flows.reports.alerts import Alert, AlertEvent
from flows.reports.summary import FIGURES, MONTH, PARTS, change_in_words, number, words
from schemas.freshness import Freshness, freshness_of
from schemas.text import markdown as foreign
from transforms.claims.evidence import NOT_MEASURABLE
from warehouse import publication_queries
from warehouse.publication_queries import Row
from warehouse.reading import open_publication

MOST_NAMED: Final = 5
ZONES: Final[Mapping[str, str]] = {
    "capitulation_score": "capitulation_state",
    "hash_ribbon_spread_pct": "hash_ribbon_state",
}
"""By column, the one that names the zone in which it is."""
USUALLY_NULL: Final = ("outage_event", "flow_null_reason")
"""Columns whose NULL is a statement, there is none, and no gap."""
SHORTEST_MOVE: Final = 0.05
"""Points of the score; less is not called a move."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Brief:
    """What the page is written from; rows are those of the published tables.

    `newest` is the newest day that has a score, `day_before` and `month_before` the days one and 30 before it, empty
    where the table does not go back so far. `revisions` are those observed in the run of this publication.
    """

    version: str
    profile: str
    last_day: date
    reached: Freshness
    newest: Row
    day_before: Row
    month_before: Row
    checks: Sequence[Row]
    revisions: Sequence[Row]
    sources: Sequence[Row]
    unknown: Sequence[str]
    """Columns of the newest day that are NULL."""
    claims: Sequence[Row] = ()
    """Rows of `claim`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """The alerts that a run has found, and the channels by which they reach people."""

    found: Sequence[Alert]
    channels: Sequence[str]


def read(published: Path) -> Brief:
    """Read the current publication under `published`. Raises `WarehouseError` where there is none."""
    with open_publication(published) as publication:
        newest = publication_queries.newest_scored_day(publication)
        run = publication_queries.newest_run(publication)
        return Brief(
            version=run["publication"],
            profile=run["profile"],
            last_day=run["day"],
            reached=freshness_of(publication_queries.freshness(publication), run["day"]),
            newest=newest,
            day_before=publication_queries.capitulation_day(publication, newest["day"] - timedelta(days=1)),
            month_before=publication_queries.capitulation_day(publication, newest["day"] - MONTH),
            checks=publication_queries.checks(publication),
            revisions=publication_queries.revisions_between(publication, run["started_at"], run["ended_at"]),
            sources=publication_queries.used_sources(publication),
            unknown=tuple(name for name, value in newest.items() if value is None and name not in USUALLY_NULL),
            claims=publication_queries.claims(publication),
        )


def figures(brief: Brief) -> list[dict[str, str]]:
    """One row a figure: its value, the one 30 days before, the change, and the zone where one is defined."""
    listed = (("Capitulation score", "capitulation_score", 1.0, "{:.1f} of 100"), *FIGURES)
    return [
        {
            "Figure": label,
            "Value": number(brief.newest[column], shape, unit),
            "30 days before": number(brief.month_before.get(column), shape, unit),
            "Change": change_of(column, brief.newest[column], brief.month_before.get(column)),
            "Zone": words(brief.newest.get(ZONES.get(column, ""))) if column in ZONES else "",
        }
        for label, column, unit, shape in in_full(listed)
    ]


def in_full(listed: Sequence[tuple[str, str, float, str]]) -> Iterator[tuple[str, str, float, str]]:
    """The figures, each indented label with the one above it that it is about."""
    above = ""
    for label, column, unit, shape in listed:
        is_part = label.startswith("  ")
        above = above if is_part else label
        yield f"{above}: {label.strip()}" if is_part else label, column, unit, shape


def change_of(column: str, value: float | None, before: float | None) -> str:
    """The step where the figure itself is a percentage, an index or a score, else its size in percent."""
    if value is None or before is None:
        return ""
    if column.endswith(("_pct", "_zscore", "_score")):
        return f"{value - before:+.1f}"
    return "" if before == 0 else f"{(value / before - 1) * 100:+.1f} %"


def markdown(brief: Brief, delivery: Delivery | None = None) -> str:
    """The page, with the alerts of its run where they are known.

    Of settings it states the channels of alerts and nothing else, so it holds no secret and no path.
    """
    parts = [_state(brief), _moved(brief), _claims(brief), _quality(brief), _revisions(brief), _coverage(brief)]
    if delivery is not None:
        parts.insert(2, _alerts(delivery))
    return "\n\n".join("\n".join(lines) for lines in parts) + "\n"


def _state(brief: Brief) -> Iterator[str]:
    newest = brief.newest
    yield f"# Bitcoin miners on {newest['day']}: {words(newest['capitulation_state'])}"
    yield ""
    score = newest["capitulation_score"]
    stated = "The score is unknown" if score is None else f"The score is **{score:.1f} of 100**"
    yield f"{stated}. Against 30 days before, halvings taken out, revenue {change_in_words(newest)}."
    yield ""
    sources = ", ".join(foreign(source["source"]) for source in brief.sources)
    yield f"Profile {foreign(brief.profile)} from {sources}; publication `{brief.version}`."
    if newest["sources"] == "simulated":
        yield ""
        yield "**Simulated data**: the chain is invented, only the registry of AI leases is real."
    if not newest["is_final"]:
        yield ""
        yield "This day is **not final** yet."


def _moved(brief: Brief) -> Iterator[str]:
    yield "## What moved the score"
    yield ""
    moves = [
        (label, brief.newest[column] - brief.day_before[column])
        for label, column, _ in PARTS
        if brief.newest[column] is not None and brief.day_before.get(column) is not None
    ]
    if not moves:
        yield "The day before has no score to compare with."
        return
    moved = sorted((move for move in moves if abs(move[1]) >= SHORTEST_MOVE), key=lambda move: -abs(move[1]))
    if not moved:
        yield "No part moved since the day before."
        return
    total = sum(points for _, points in moves)
    yield f"{total:+.1f} points since the day before:"
    yield ""
    yield from (f"- {label} {points:+.1f}" for label, points in moved)


def _claims(brief: Brief) -> Iterator[str]:
    yield "## Claims of an article of February 2026"
    yield ""
    measured = [claim for claim in brief.claims if claim["verdict"] != NOT_MEASURABLE]
    for claim in measured:
        yield f"- **{claim['verdict']}**: {claim['statement']} Found: {claim['finding']}"
    if measured:
        yield ""
    unmeasured = len(brief.claims) - len(measured)
    yield (
        f"{unmeasured} of {len(brief.claims)} are not measurable with this profile. `hashpivot show claims` says why, "
        "and what the article leaves out."
    )


def _quality(brief: Brief) -> Iterator[str]:
    yield "## Data quality"
    yield ""
    failed = [check for check in brief.checks if not check["passed"] and check["severity"] != "notice"]
    notices = [check for check in brief.checks if check["severity"] == "notice"]
    held = len(brief.checks) - len(failed) - len(notices)
    yield f"{held} checks held, {len(failed)} warned, {len(notices)} notices of sources."
    if failed:
        yield ""
        yield from (
            f"- {check['table_name']}: {foreign(check['check_name'])}: {foreign(check['detail'])}"
            for check in failed[:MOST_NAMED]
        )
    if len(failed) > MOST_NAMED:
        yield f"- and {len(failed) - MOST_NAMED} more in `meta.quality`"


def _revisions(brief: Brief) -> Iterator[str]:
    yield "## Revisions"
    yield ""
    if not brief.revisions:
        yield "No source changed a value."
    for row in brief.revisions:
        days = (
            f"{row['first_day']}" if row["first_day"] == row["last_day"] else f"{row['first_day']} to {row['last_day']}"
        )
        yield f"- {foreign(row['source'])} changed {row['revised_count']:,} values of {days}"


def _coverage(brief: Brief) -> Iterator[str]:
    yield "## Coverage"
    yield ""
    yield f"Data up to {brief.reached.reached()}, for the run of {brief.last_day}."
    if brief.reached.late:
        yield f"**Late**: {brief.reached.listed()}."
    yield ""
    for row in brief.sources:
        if row["last_day"] is None:
            yield f"- {foreign(row['source'])}: curated"
            continue
        behind = (brief.last_day - row["last_day"]).days
        late = f", **{behind} days behind**" if behind > 1 else ""
        yield f"- {foreign(row['source'])}: {row['row_count']:,} values up to {row['last_day']}{late}"
    if (behind := (brief.last_day - brief.newest["day"]).days) > 0:
        yield f"- the score is {behind} days behind {brief.last_day}"
    if brief.unknown:
        named = ", ".join(f"`{name}`" for name in brief.unknown[:MOST_NAMED])
        more = len(brief.unknown) - MOST_NAMED
        yield f"- NULL on the day: {named}{f' and {more} more' if more > 0 else ''}; why is in `meta.nulls`"


def _alerts(delivery: Delivery) -> Iterator[str]:
    yield "## Alerts"
    yield ""
    by = f"by {', '.join(delivery.channels)}"
    if not delivery.found:
        yield f"None in this run; they go out {by}." if delivery.channels else "None in this run."
    for alert in delivery.found:
        yield f"- {alert.severity}, {by if delivery.channels else 'no receiver'}: {foreign(alert.title)}"
    if delivery.channels:
        return
    yield ""
    yield f"**No receiver yet** for any of these: {', '.join(event.words for event in AlertEvent)}."
    yield "`hashpivot doctor` says how to set one."
