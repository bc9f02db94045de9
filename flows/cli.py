"""The `hashpivot` command: one line of error and an exit code for each failure, JSON where a program reads it."""

import json
import logging
import os
import sys
from collections.abc import Callable, Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any, TypeVar

import click
from rich.console import Console

from flows.settings import DEFAULT_MAX_REQUESTS, MOST_MAX_REQUESTS, Settings, profile_names, read_profile, read_settings
from schemas.errors import HashpivotError

Command = TypeVar("Command", bound=Callable[..., Any])

DAY = click.DateTime(formats=["%Y-%m-%d"])
INTERRUPTED = 130
MOST_NAMED_COLUMNS = 4
QUERY = 'hashpivot sql "select day, capitulation_state, capitulation_score from capitulation_daily"'


def _settings_options(command: Command) -> Command:
    """The options that stand for settings, the same on every command that needs them."""
    folder = click.Path(file_okay=False, path_type=Path)
    command = click.option("--home", type=folder, help="Folder that holds everything a run writes. [HASHPIVOT_HOME]")(
        command
    )
    command = click.option("--files-dir", type=folder, help="Folder the files source reads. [HASHPIVOT_FILES_DIR]")(
        command
    )
    names = ", ".join(profile_names())
    return click.option("--profile", help=f"One of {names}, or a TOML file. [HASHPIVOT_PROFILE]")(command)


def _requests_option(command: Command) -> Command:
    return click.option(
        "--max-requests",
        type=click.IntRange(0, MOST_MAX_REQUESTS),
        help=f"Most requests to hosted sources. [HASHPIVOT_MAX_REQUESTS, {DEFAULT_MAX_REQUESTS:,}]",
    )(command)


def _json_option(command: Command) -> Command:
    return click.option("--json", "as_json", is_flag=True, help="Print JSON for a program to read.")(command)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="hashpivot")
def cli() -> None:
    """How hard Bitcoin's miners are squeezed, and how much of their power leaves for AI."""


@cli.command()
@click.option("--day", type=DAY, help="Last UTC day to publish; by default the last that is over.")
@click.option("--plain", is_flag=True, help="Run without the scheduler.")
@_requests_option
@_settings_options
@_json_option
def daily(day: datetime | None, plain: bool, as_json: bool, **given: Any) -> None:
    """Ask the sources, keep what is new, recompute every table, check and publish."""
    _run(given, day=_day(day), since=None, plain=plain, as_json=as_json)


@cli.command()
@click.option("--from", "since", type=DAY, required=True, help="First UTC day to ask the sources for.")
@click.option("--to", "through", type=DAY, help="Last UTC day to ask for and to publish.")
@click.option("--plain", is_flag=True, help="Run without the scheduler.")
@_requests_option
@_settings_options
@_json_option
def backfill(since: datetime, through: datetime | None, plain: bool, as_json: bool, **given: Any) -> None:
    """Ask the sources again for a range of days, then publish all that is known."""
    _run(given, day=_day(through), since=_day(since), plain=plain, as_json=as_json)


@cli.command()
@click.argument("table", required=False)
@click.option("--limit", type=click.IntRange(1), default=10, show_default=True, help="Rows to show, the newest first.")
@click.option("--column", "columns", multiple=True, help="A column to show; repeat for more.")
@click.option("--svg", type=click.Path(dir_okay=False, path_type=Path), help="Write the summary as a picture instead.")
@_settings_options
@_json_option
def show(
    table: str | None, limit: int, columns: tuple[str, ...], svg: Path | None, as_json: bool, **given: Any
) -> None:
    """Show the newest rows of a published TABLE, or the summary and the list of tables."""
    from flows.tabular import print_rows, show_table, show_tables

    published = read_settings(**given).published
    if svg:
        from flows.summary import picture

        svg.write_text(picture(published), encoding="utf-8")
        click.echo(f"wrote {svg}")
        return
    if table:
        print_rows(*show_table(published, table, columns, limit), as_json=as_json)
        return
    if not as_json:
        from flows.summary import summary

        console = Console()
        console.print(summary(published))
        console.print()
    print_rows(*show_tables(published), as_json=as_json)


@cli.command()
@click.argument("statement")
@_settings_options
@_json_option
def sql(statement: str, as_json: bool, **given: Any) -> None:
    """Run one read-only SQL STATEMENT on the current publication."""
    from flows.tabular import print_rows
    from warehouse.reading import query

    print_rows(*query(read_settings(**given).published, statement), as_json=as_json)


@cli.command()
@click.argument("table")
@click.argument("column")
@click.argument("day", type=DAY)
@click.option("--exchange", default="all", show_default=True, help="The exchange of the row of exchange_flow_daily.")
@click.option("--pool", default="all", show_default=True, help="The pool of the row of exchange_flow_daily.")
@_settings_options
@_json_option
def explain(table: str, column: str, day: datetime, exchange: str, pool: str, as_json: bool, **given: Any) -> None:
    """List the transactions that a flow figure is the sum of: COLUMN of TABLE on DAY, with blocks and label set."""
    from flows.explain import explain as explained
    from flows.tabular import print_rows

    told = explained(read_settings(**given).published, table, column, day.date(), exchange, pool)
    if as_json:
        transfers = [dict(zip(told.names, row, strict=True)) for row in told.rows]
        facts = {
            "figure": told.figure,
            "label_sets": told.label_sets,
            "transfer_sat": told.transfer_sat,
            "transaction_count": told.transaction_count,
        }
        asked = {"table": table, "column": column, "day": f"{day:%Y-%m-%d}"}
        click.echo(json.dumps({**asked, **facts, "transfers": transfers}, indent=2))
        return
    click.echo(
        f"{table}.{column} on {day:%Y-%m-%d}: {told.figure:,}, the sum of {told.transfer_sat:,} satoshi in "
        f"{told.transaction_count:,} transactions; label set {', '.join(told.label_sets) or 'none'}"
    )
    print_rows(told.names, told.rows, as_json=False)


@cli.command()
@_settings_options
@_json_option
def doctor(as_json: bool, **given: Any) -> None:
    """Look at versions, settings, sources, disk, clock, locks and the publication, and say what to do."""
    from flows.doctor import examine
    from flows.tabular import print_rows

    findings = examine(given)
    rows = [(f.subject, f.state, f.found, f.remedy) for f in findings]
    print_rows(["what", "state", "found", "what to do"], rows, as_json=as_json)
    if not all(finding.ok for finding in findings):
        sys.exit(1)


@cli.command()
@click.option("--check", is_flag=True, help="Only tell whether the page is fresh.")
def dictionary(check: bool) -> None:
    """Write the data dictionary, warehouse/DICTIONARY.md, from the catalogue."""
    from flows.tables import PUBLISHED
    from warehouse.dictionary import PAGE, page

    text = page(PUBLISHED)
    if check:
        if not PAGE.exists() or PAGE.read_text(encoding="utf-8") != text:
            raise click.ClickException(f"{PAGE.name} is stale; run `hashpivot dictionary` and commit it")
        click.echo(f"{PAGE.name} is fresh")
        return
    PAGE.write_text(text, encoding="utf-8")
    click.echo(f"wrote {PAGE}")


def _day(moment: datetime | None) -> date | None:
    return moment.date() if moment else None


def _run(given: dict[str, Any], *, day: date | None, since: date | None, plain: bool, as_json: bool) -> None:
    """Run, then say where the publication is and what it shows."""
    settings = read_settings(**given)
    result = _run_plain(settings, day, since) if plain else _run_scheduled(settings, day, since)
    if as_json:
        click.echo(json.dumps(result, indent=2))
        return
    from flows.summary import summary

    out = Console()
    out.print(summary(settings.published))
    out.print()
    for warning in result["warnings"]:
        out.print(f"warning: {warning}", style="yellow", highlight=False, soft_wrap=True)
    for line in _about_sources(result["sources"]):
        out.print(line, highlight=False, soft_wrap=True)
    out.print(f"Publication: {result['database']}", highlight=False, soft_wrap=True)
    out.print(f"Query it:    {QUERY}", highlight=False, soft_wrap=True)


def _about_sources(sources: dict[str, Any]) -> Iterator[str]:
    """What hosted sources have cost, and what the run went without."""
    for name, facts in sources.items():
        if used := facts.get("used"):
            yield (
                f"Asked {name}: {used['requests_count']:,} requests, {used['received_bytes'] / 1e6:,.1f} MB, "
                f"{used['waited_seconds']:,.0f} s of waiting"
            )
    for name, facts in sources.items():
        if facts["missing"]:
            named = facts["null_columns"][:MOST_NAMED_COLUMNS]
            more = len(facts["null_columns"]) - len(named)
            null = f"; NULL without it: {', '.join(named)}{f' and {more} more' if more else ''}" if named else ""
            yield f"Without {name}: {facts['missing']}{null}"


def _run_plain(settings: Settings, day: date | None, since: date | None) -> dict[str, Any]:
    from flows import pipeline

    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    console = Console(stderr=True)
    run = pipeline.plan(settings, read_profile(settings.profile), day=day, since=since)
    with console.status(f"{run.profile.title}: asking the sources") as status:

        def say(line: str) -> None:
            console.print(line, style="dim", highlight=False, soft_wrap=True)
            status.update(f"{run.profile.title}: working")

        return pipeline.about(pipeline.run_all(run, say))


def _run_scheduled(settings: Settings, day: date | None, since: date | None) -> dict[str, Any]:
    from flows.scheduler import prepare

    read_profile(settings.profile)  # a wrong name should not cost a server's start
    prepare(settings.scheduler_home)
    from flows.daily import DailyParameters
    from flows.daily import daily as flow

    parameters = DailyParameters(
        profile=settings.profile,
        day=day,
        since=since,
        home=settings.home,
        files_dir=settings.files_dir,
        max_requests=settings.max_requests,
    )
    return flow(parameters)


def main() -> None:
    """Entry point: errors of ours become one line and their exit code."""
    try:
        cli()
    except HashpivotError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # Whoever read our output has read enough; closing it here keeps the interpreter from complaining at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        click.echo("interrupted: nothing half-written; run again to go on", err=True)
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
