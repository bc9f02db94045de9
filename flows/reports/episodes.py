"""Capitulations on a terminal, and the times of distress that the rule missed."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click

from flows.reports.selections import TableRows
from flows.reports.tables import print_picked
from warehouse import publication_queries
from warehouse.publication_queries import Row
from warehouse.reading import open_publication
from warehouse.targets.files import manifest

TABLE: Final = "capitulation_episode"
COLUMNS: Final = (
    *("started_on", "ended_on", "day_count", "capitulation_max_score", "hashrate_drawdown_min_pct"),
    *("revenue_drawdown_min_pct", "ended_by", "stress_episode"),
)
"""What is shown unless others are named."""


def print_episodes(published: Path) -> None:
    """Print those of the publication under `published`. Raises `WarehouseError` where there is none."""
    picked = TableRows(published, TABLE, COLUMNS).rows(None)
    with open_publication(published) as publication:
        # Times of distress are those of the real chain.
        missed = [] if manifest(published)["simulated"] else publication_queries.missed_stress(publication)
    print_picked(picked, is_whole=False, more_rows="")
    click.echo(f"`hashpivot show {TABLE} --all` shows all columns.")
    for line in _missed(missed):
        click.echo(line)


def _missed(rows: list[Row]) -> Iterator[str]:
    """A line for each time of distress without a day of capitulation."""
    for row in rows:
        state = f"{row['squeeze_day_count']} of {row['state_day_count']} days were a squeeze"
        yield (
            f"Missed: distress {row['episode']}, {row['core_start_on']} to {row['core_end_on']}; {state}, "
            f"highest score {row['capitulation_max_score']:.1f}."
        )
