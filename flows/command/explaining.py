"""What `hashpivot explain` prints: the parts of a flow that was read from blocks, or how another figure came about."""

import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from pathlib import Path

import click

from flows.settings import Settings
from schemas.errors import TerminalError


def explain_parts(
    published: Path,
    settings: Settings,
    table: str,
    column: str,
    given: Sequence[str],
    key: Mapping[str, str],
    *,
    top: int | None,
    as_json: bool,
) -> None:
    """List the transactions or blocks that the figure is the sum of, the `top` largest, all by default."""
    from flows.command.addresses import addresses
    from flows.reports.explain import explain
    from flows.reports.explain_shown import for_program, lines
    from flows.reports.terminal import shown

    found = explain(published, settings.working_database, table, column, _day(given), key)
    listed = found.parts[:top]
    of_node = None if found.are_blocks or not listed else addresses(settings, listed)
    if as_json:
        click.echo(json.dumps(for_program(found, of_node), indent=2))
        return
    for line in lines(found, len(listed), of_node):
        click.echo(shown(line).plain)


def _day(given: Sequence[str]) -> date:
    """The one day among what names the row. Raises `TerminalError` for anything else."""
    try:
        (text,) = given
        return date.fromisoformat(text)
    except ValueError as error:
        found = " ".join(given) or "none"
        raise TerminalError(f"DAY: found {found!r}, expected one day such as 2026-03-22; correct it") from error


def explain_any(
    published: Path, settings: Settings, table: str, column: str, given: Sequence[str], as_json: bool
) -> None:
    """Print what is stated of a figure, its formula with the values that it read, and where those were observed."""
    from rich.console import Console

    from flows.reports.figure_facts import figure_facts
    from flows.reports.figure_shown import for_program, lines
    from flows.reports.terminal import shown
    from flows.run.trace import trace
    from flows.settings import profile_names, read_profile
    from transforms.catalog import TABLES
    from warehouse.targets.files import manifest

    facts = figure_facts(published, table, column, given)
    traced = None
    if table in TABLES:
        stated = manifest(published)
        name = str(stated["profile"])
        profile = read_profile(name if name in profile_names() else settings.profile)
        moment = datetime.fromisoformat(stated["created_at"])
        traced = trace(settings, profile, date.fromisoformat(stated["day"]), moment, facts.table, column, facts.key)
    if as_json:
        click.echo(json.dumps(for_program(facts, traced), indent=2))
        return
    for line in lines(facts, traced, Console().width):
        click.echo(shown(line).plain)
