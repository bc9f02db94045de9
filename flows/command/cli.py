"""The `hashpivot` command: one line of error and an exit code for each failure, JSON where a program reads it."""

import json
import logging
import os
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, TypeVar

import click
from rich.console import Console

from flows.settings import DEFAULT_MAX_REQUESTS, MOST_MAX_REQUESTS, Settings, profile_names, read_profile, read_settings
from flows.startup import importing
from schemas.errors import HashpivotError

Command = TypeVar("Command", bound=Callable[..., Any])

DAY = click.DateTime(formats=["%Y-%m-%d"])
MOMENT = click.DateTime(formats=["%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d"])
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
@click.option("--as-of", type=MOMENT, help="Publish, beside today's, what was known at this UTC moment; asks nobody.")
@_settings_options
@_json_option
def daily(day: datetime | None, plain: bool, as_of: datetime | None, as_json: bool, **given: Any) -> None:
    """Ask the sources, keep what is new, recompute every table, check and publish."""
    if as_of is not None:
        _rebuild(given, as_of=as_of, day=_day(day), as_json=as_json)
        return
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
@click.option(
    "--host",
    default="127.0.0.1",
    envvar="PREFECT_SERVER_API_HOST",
    show_default=True,
    help="Address the server listens on. [PREFECT_SERVER_API_HOST]",
)
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    default=4200,
    envvar="PREFECT_SERVER_API_PORT",
    show_default=True,
    help="Port of the server. [PREFECT_SERVER_API_PORT]",
)
@_settings_options
def serve(host: str, port: int, **given: Any) -> None:
    """Serve the deployments with their schedules: under PREFECT_API_URL, or with a server of its own."""
    from flows.scheduled.serve import serve as serve_deployments

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for name in ("httpx", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    serve_deployments(read_settings(**given), host=host, port=port)


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
    from flows.reports.tables import print_rows, show_table, show_tables

    published = read_settings(**given).published
    if svg:
        from flows.reports.summary import picture

        svg.write_text(picture(published), encoding="utf-8")
        click.echo(f"wrote {svg}")
        return
    if table:
        print_rows(*show_table(published, table, columns, limit), as_json=as_json)
        return
    if not as_json:
        from flows.reports.summary import summary

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
    from flows.reports.tables import print_rows
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
    from flows.reports.explain import explain as explained
    from flows.reports.tables import print_rows

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
    from flows.command.doctor import examine
    from flows.reports.tables import print_rows

    findings = examine(given)
    rows = [(f.subject, f.state, f.found, f.remedy) for f in findings]
    print_rows(["what", "state", "found", "what to do"], rows, as_json=as_json)
    if not all(finding.ok for finding in findings):
        sys.exit(1)


@cli.command()
@click.option("--check", is_flag=True, help="Only tell whether the page is fresh.")
def dictionary(check: bool) -> None:
    """Write the data dictionary, warehouse/DICTIONARY.md, from the catalogue."""
    from flows.run.tables import PUBLISHED
    from warehouse.dictionary import PAGE, page

    text = page(PUBLISHED)
    if check:
        if not PAGE.exists() or PAGE.read_text(encoding="utf-8") != text:
            raise click.ClickException(f"{PAGE.name} is stale; run `hashpivot dictionary` and commit it")
        click.echo(f"{PAGE.name} is fresh")
        return
    PAGE.write_text(text, encoding="utf-8")
    click.echo(f"wrote {PAGE}")


@cli.group()
def registry() -> None:
    """Keep the registry: check it, add a row, see what an edit changes."""


@registry.command("check")
@click.option("--folder", type=click.Path(file_okay=False, path_type=Path), help="Registry files; by default our own.")
@_json_option
def registry_check(folder: Path | None, as_json: bool) -> None:
    """Check every row, every link between the tables, and the totals against the changelog."""
    from flows.command.registry import FOLDER, check
    from flows.reports.tables import print_rows

    told = check(folder or FOLDER)
    print_rows(["total", "value"], list(told.items()), as_json=as_json)


@registry.command("diff")
@click.option("--against", default="HEAD", show_default=True, help="A folder of registry files, or a git revision.")
@_json_option
def registry_diff(against: str, as_json: bool) -> None:
    """Show what the edits of the registry files do to rows, totals and published columns."""
    from flows.command.registry import FOLDER, differences, other
    from flows.reports.tables import print_rows
    from warehouse.registry import load_registry

    rows = differences(other(against), load_registry(FOLDER))
    if not rows and not as_json:
        click.echo("no difference")
        return
    print_rows(["what", "before", "after", "change"], rows, as_json=as_json)


@registry.command("add")
@click.argument("table")
@click.option(
    "--set", "cells", multiple=True, metavar="COLUMN=VALUE", help="A cell; repeat. Without any you are asked."
)
@click.option("--folder", type=click.Path(file_okay=False, path_type=Path), help="Registry files; by default our own.")
@click.option("--yes", is_flag=True, help="Write without asking once more.")
def registry_add(table: str, cells: tuple[str, ...], folder: Path | None, yes: bool) -> None:
    """Add one row to TABLE; nothing is written unless the whole registry is sound with it."""
    from flows.command.registry import FOLDER, add, preview
    from flows.reports.tables import print_rows

    where = folder or FOLDER
    given = _cells(cells) if cells else _asked(table)
    print_rows(["what", "before", "after", "change"], preview(table, given, where), as_json=False)
    if yes or click.confirm(f"Write this row to {table}.csv?"):
        add(table, given, where)
        click.echo(
            f"wrote {where / f'{table}.csv'}; say in the changelog what changed, then `hashpivot registry check`"
        )


def _cells(cells: tuple[str, ...]) -> dict[str, str]:
    """Cells of the form COLUMN=VALUE."""
    split = [cell.partition("=") for cell in cells]
    if bad := [name for name, sign, _ in split if not sign]:
        raise click.UsageError(f"--set {bad[0]}: expected COLUMN=VALUE")
    return {name: value for name, _, value in split}


def _asked(table: str) -> dict[str, str]:
    """Cells that a person types, one column after the other, each asked again until it can be read."""
    from schemas.registry import REGISTRY
    from warehouse.registry import readable

    if table not in REGISTRY:
        raise click.UsageError(f"no table {table}; expected one of {', '.join(sorted(REGISTRY))}")
    answers: dict[str, str] = {}
    for name, column in REGISTRY[table].columns.items():
        click.echo(f"\n{column.description}" + (" (may be empty)" if column.nullable else ""))
        while True:
            answer = click.prompt(f"{name} [{(column.metadata or {}).get('unit')}]", default="", show_default=False)
            problem = readable(table, name, answer.strip())
            if problem is None:
                answers[name] = answer.strip()
                break
            click.echo(f"  {problem}", err=True)
    return answers


@cli.command()
@click.option("--hashprice", type=float, required=True, help="USD per PH/s per day.")
@click.option("--power-price", type=float, required=True, help="All-in cost of a MWh at the mine, USD.")
@click.option("--efficiency", type=float, required=True, help="J/TH of the machines, cooling included.")
@click.option("--day", type=DAY, help="Use the contracts and assumptions known on this day; by default all.")
@_json_option
def whatif(hashprice: float, power_price: float, efficiency: float, day: datetime | None, as_json: bool) -> None:
    """Set mining beside the leases on your own numbers: price per MW-year, parity hashprice, value of each lease."""
    from flows.reports.tables import print_rows
    from flows.reports.whatif import as_json as for_program
    from flows.reports.whatif import described
    from flows.reports.whatif import whatif as answered

    when = day.date() if day else date.max
    answer = answered(hashprice=hashprice, power_price=power_price, efficiency=efficiency, day=when)
    if as_json:
        click.echo(json.dumps(for_program(answer), indent=2))
        return
    facts = described()
    rows = [(name, answer.figures[name], facts[name][0], facts[name][1]) for name in answer.figures]
    print_rows(["figure", "value", "unit", "meaning"], rows, as_json=False)
    print_rows(answer.contracts.columns, answer.contracts.rows(), as_json=False)


def _day(moment: datetime | None) -> date | None:
    return moment.date() if moment else None


def _run(given: dict[str, Any], *, day: date | None, since: date | None, plain: bool, as_json: bool) -> None:
    """Run, then say where the publication is and what it shows."""
    settings = read_settings(**given)
    if plain:
        result = _run_plain(settings, day, since)
    else:
        from flows.scheduled.command_run import run_flow

        result = run_flow(settings, day, since)
    if as_json:
        click.echo(json.dumps(result, indent=2))
        return
    from flows.reports.summary import summary

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


def _rebuild(given: dict[str, Any], *, as_of: datetime, day: date | None, as_json: bool) -> None:
    from flows.run import plan as runs
    from flows.run import publish as releases
    from warehouse.journal import one_run_at_a_time

    settings = read_settings(**given)
    run = runs.plan_past(settings, read_profile(settings.profile), as_of.replace(tzinfo=UTC), day=day)
    with one_run_at_a_time(settings.lock_file):
        result = releases.about(releases.rebuild(run))
    if as_json:
        click.echo(json.dumps(result, indent=2))
        return
    click.echo(f"Publication as of {as_of:%Y-%m-%d %H:%M:%S} UTC: {result['database']}")


def _run_plain(settings: Settings, day: date | None, since: date | None) -> dict[str, Any]:
    with importing():
        from flows.run import pipeline
        from flows.run import plan as runs
        from flows.run import publish as releases

    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    console = Console(stderr=True)
    run = runs.plan(settings, read_profile(settings.profile), day=day, since=since)
    with console.status(f"{run.profile.title}: asking the sources") as status:

        def say(line: str) -> None:
            console.print(line, style="dim", highlight=False, soft_wrap=True)
            status.update(f"{run.profile.title}: working")

        return releases.about(pipeline.run_all(run, say))


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
