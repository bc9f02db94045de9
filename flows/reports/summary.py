"""The readable summary of a publication: today's state, the score with its parts, the main figures, the conversion."""

import re
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from io import StringIO
from pathlib import Path
from typing import Final

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from flows.reports.terminal import shown
from schemas.freshness import Freshness, freshness_of
from schemas.text import visible
from transforms.capitulation import RULE
from transforms.metrics.sustainability import ZONES
from warehouse import publication_queries
from warehouse.publication_queries import Row
from warehouse.reading import open_publication

PARTS: Final = tuple(
    (label, column, round(ramp.points))
    for label, column, ramp in (
        ("income level", "score_income_level", RULE.income_level),
        ("income per hash", "score_income_per_hash", RULE.income_per_hash),
        ("hash rate", "score_hashrate", RULE.hashrate),
    )
)
"""Label, column and most points of each part of the score."""
MONTH: Final = timedelta(days=30)
MILLION: Final = 1e6
BILLION: Final = 1e9
FIGURES: Final = (
    ("Price", "price_usd", 1, "{:,.0f} USD"),
    ("Miner revenue, 7 days", "miner_revenue_7d_usd", MILLION, "{:,.1f} M USD a day"),
    ("Revenue change, 30 days", "revenue_change_30d_pct", 1, "{:+.1f} %"),
    ("  without halvings", "revenue_change_30d_exhalving_pct", 1, "{:+.1f} %"),
    ("Puell Multiple", "puell_issuance_ratio", 1, "{:.2f}"),
    ("Miners' Position Index", "mpi_zscore", 1, "{:+.2f}"),
    ("Miners to exchanges", "miner_to_exchange_btc", 1, "{:,.0f} BTC"),
    ("  mean transaction", "miner_to_exchange_mean_btc", 1, "{:,.1f} BTC"),
    ("Hash rate, 7 days", "hashrate_7d_ehs", 1, "{:,.0f} EH/s"),
    ("Hash ribbon spread", "hash_ribbon_spread_pct", 1, "{:+.2f} %"),
    ("Hashprice, 7 days", "hashprice_7d_usd_per_phs_day", 1, "{:.2f} USD per PH/s a day"),
    ("Revenue per MWh, 7 days", "revenue_7d_usd_per_mwh", 1, "{:.1f} USD"),
    ("Cost coverage, 7 days", "cost_coverage_ratio", 1, "{:.2f}"),
)
CONVERSION: Final = (
    ("Deals with a customer", "deal_count", 1, "{:,.0f}"),
    ("Critical IT power leased", "contracted_critical_it_mw", 1, "{:,.0f} MW"),
    ("Contract value", "contracted_value_usd", BILLION, "{:,.2f} bn USD"),
    ("Credit backstops", "backstop_usd", BILLION, "{:,.3f} bn USD"),
    ("  of these Google", "google_backstop_usd", BILLION, "{:,.3f} bn USD"),
    ("AI capex guidance, this year", "capex_guidance_usd", BILLION, "{:,.0f} bn USD"),
)
CHANGES: Final = dict(zip(ZONES, ("fell sharply", "fell", "held steady", "rose", "rose sharply"), strict=True))
"""By zone of the 30-day change of revenue, what revenue did. The zone's own name could seem to contradict the state."""
BAR_CELLS: Final = 20
PICTURE_COLUMNS: Final = 84


def summary(published: Path) -> RenderableType:
    """Render the newest described day of the publication under `published`."""
    with open_publication(published) as publication:
        newest = publication_queries.newest_scored_day(publication)
        before = publication_queries.capitulation_day(publication, newest["day"] - MONTH)
        last_day = publication_queries.last_day(publication)
        conversion = publication_queries.newest_conversion_day(publication)
        run = publication_queries.newest_run(publication)
        reached = freshness_of(publication_queries.freshness(publication), run["day"])
        sources = [source["source"] for source in publication_queries.used_sources(publication)]
    parts: list[RenderableType] = [
        _headline(newest, last_day),
        Text(f"Profile {run['profile']}, from {', '.join(sources)}", "dim"),
        *_freshness(reached),
        _score(newest),
        *_reason(newest),
        Text(),
        _figures(newest, before),
        Text(),
    ]
    parts += [Text(f"AI conversion, as announced up to {conversion['day']} (curated registry)", "bold")]
    parts += [_list(conversion, CONVERSION)]
    return Group(*parts)


def picture(published: Path) -> str:
    """The same summary as an SVG of a terminal, with fonts of the reader's own and nothing to fetch."""
    console = Console(record=True, width=PICTURE_COLUMNS, file=StringIO(), force_terminal=True)
    console.print(summary(published))
    framed = re.sub(r"@font-face \{[^}]*\}", "", console.export_svg(title="hashpivot show"))
    return re.sub(r"terminal-\d+-", "terminal-", framed)


def _headline(day: Row, last_day: date | None) -> Text:
    state = words(day["capitulation_state"])
    line = Text(f"Bitcoin miners on {day['day']}: ", "bold").append(state, "bold reverse")
    if day["sources"] == "simulated":
        line.append("  simulated data", "bold yellow")
    if not day["is_final"]:
        line.append("  not final yet", "yellow")
    if last_day != day["day"]:
        line.append(
            f"\n{day['day']} is the newest day with a score; rows go on to {last_day} with what is known", "dim"
        )
    return line


def _freshness(reached: Freshness) -> Iterator[Text]:
    """How far the data goes; nothing of a publication that an older version has made without stating it."""
    if reached.described_until is not None:
        of_run = f"; the run is of {reached.through}" if reached.days_behind else ", the day of the run"
        yield Text(f"Data up to {reached.reached()}{of_run}", "yellow" if reached.days_behind else "dim")
    if reached.late:
        yield shown(f"Late: {reached.listed()}", "yellow")


def _score(day: Row) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(justify="left")
    table.add_column(justify="right")
    table.add_column()
    table.add_column(style="dim")
    table.add_row(
        "Capitulation score",
        number(day["capitulation_score"], "{:.1f}"),
        _bar(day["capitulation_score"], 100),
        "of 100",
    )
    for label, column, most in PARTS:
        table.add_row(f"  {label}", number(day[column], "{:.1f}"), _bar(day[column], most), f"of {most}")
    return table


def _reason(day: Row) -> Iterator[Text]:
    """What the state follows from, where there is a state."""
    if day["capitulation_state"] is None:
        return
    high = [label for label, column, _ in PARTS if column.removeprefix("score_") in _high_parts(day)]
    yield Text(f"At half of their points or more: {', '.join(high) or 'none'}", "dim")
    limits = ", ".join(f"{limit:g}" for limit in RULE.limits)
    yield Text(f"A state is entered at {limits} points and left {RULE.hysteresis:g} points lower", "dim")


def _high_parts(day: Row) -> list[str]:
    return (day["capitulation_state_reason"] or "").split("+")


def _bar(value: float | None, most: float) -> str:
    filled = round(BAR_CELLS * min((value or 0) / most, 1))
    return "█" * filled + "░" * (BAR_CELLS - filled)


def _figures(day: Row, before: Row) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column()
    table.add_column(justify="right")
    table.add_column(justify="right", style="dim")
    table.add_row(Text("Figure", "bold"), Text("the day", "bold"), "30 days before")
    for label, column, unit, shape in FIGURES:
        table.add_row(label, number(day[column], shape, unit), number(before.get(column), shape, unit))
        if column == "revenue_change_30d_exhalving_pct":
            table.add_row("  in words", change_in_words(day), change_in_words(before))
    return table


def change_in_words(day: Row) -> str:
    """`sustainability_zone` as what it says of revenue: a month's change, while the state is about a year."""
    return CHANGES.get(day.get("sustainability_zone") or "", "unknown")


def _list(row: Row, lines: Sequence[tuple[str, str, float, str]]) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column()
    table.add_column(justify="right")
    for label, column, unit, shape in lines:
        table.add_row(label, number(row[column], shape, unit))
    return table


def words(label: str | None) -> str:
    """A label as published, such as `deep_capitulation`, as words of a sentence."""
    return visible((label or "unknown").replace("_", " "))


def number(value: float | None, shape: str, unit: float = 1) -> str:
    """A figure as text: counted in `unit`, in the format `shape`."""
    return "unknown" if value is None else shape.format(value / unit)
