"""Commands that read a publication, or compute from what the reader gives."""

import json
from datetime import date, datetime
from pathlib import Path
from typing import Any

import click

from flows.command.options import DAY, json_option, settings_options
from flows.settings import read_settings


def _published(given: dict[str, Any]) -> Path:
    """The folder of the publications; says on stderr where the file that readers are led to was changed."""
    from warehouse.integrity import changed_files

    published = read_settings(**given).published
    if changed := changed_files(published):
        click.echo(
            f"warning: {published / changed[0]}: changed after it was published, its figures may be anybody's; "
            "run `hashpivot doctor`, then `hashpivot daily` to publish again",
            err=True,
        )
    return published


@click.command()
@click.argument("table", required=False)
@click.option("--limit", type=click.IntRange(1), default=10, show_default=True, help="Rows to show, the newest first.")
@click.option("--column", "columns", multiple=True, help="A column to show; repeat for more.")
@click.option("--svg", type=click.Path(dir_okay=False, path_type=Path), help="Write the summary as a picture instead.")
@settings_options
@json_option
def show(
    table: str | None, limit: int, columns: tuple[str, ...], svg: Path | None, as_json: bool, **given: Any
) -> None:
    """Show the newest rows of a published TABLE, `claims` to be read, or the summary and the list of tables."""
    from flows.reports.tables import print_rows, show_table, show_tables

    published = _published(given)
    if svg:
        from flows.reports.summary import picture

        svg.write_text(picture(published), encoding="utf-8")
        click.echo(f"wrote {svg}")
        return
    if table == "claims":
        from flows.reports.claims import print_claims

        print_claims(published, as_json=as_json)
        return
    if table:
        print_rows(*show_table(published, table, columns, limit), as_json=as_json)
        return
    if not as_json:
        from rich.console import Console

        from flows.reports.summary import summary

        console = Console()
        console.print(summary(published))
        console.print()
    print_rows(*show_tables(published), as_json=as_json)


@click.command()
@click.argument("statement")
@settings_options
@json_option
def sql(statement: str, as_json: bool, **given: Any) -> None:
    """Run one read-only SQL STATEMENT on the current publication."""
    from flows.reports.tables import print_rows
    from warehouse.reading import query

    print_rows(*query(_published(given), statement), as_json=as_json)


@click.command()
@click.argument("table")
@click.argument("column")
@click.argument("day", type=DAY)
@click.option("--exchange", help="The exchange of the row, in a table that has rows by exchange.")
@click.option("--pool", help="The pool of the row, in a table that has rows by pool.")
@settings_options
@json_option
def explain(
    table: str, column: str, day: datetime, exchange: str | None, pool: str | None, as_json: bool, **given: Any
) -> None:
    """List the transactions that a flow figure is the sum of: COLUMN of TABLE on DAY, with blocks and label set."""
    from flows.reports.explain import explain as explained
    from flows.reports.tables import print_rows

    parts = {name: value for name, value in (("exchange", exchange), ("pool", pool)) if value}
    found = explained(_published(given), table, column, day.date(), parts)
    if as_json:
        transfers = [dict(zip(found.names, row, strict=True)) for row in found.rows]
        facts = {
            "figure": found.figure,
            "label_sets": found.label_sets,
            "transfer_sat": found.transfer_sat,
            "transaction_count": found.transaction_count,
        }
        figure = {"table": table, "column": column, "day": f"{day:%Y-%m-%d}"}
        click.echo(json.dumps({**figure, **facts, "transfers": transfers}, indent=2))
        return
    click.echo(
        f"{table}.{column} on {day:%Y-%m-%d}: {found.figure:,}, the sum of {found.transfer_sat:,} satoshi in "
        f"{found.transaction_count:,} transactions; label set {', '.join(found.label_sets) or 'none'}"
    )
    print_rows(found.names, found.rows, as_json=False)


@click.command()
@settings_options
@json_option
def sensitivity(as_json: bool, **given: Any) -> None:
    """Judge the rule of capitulation with each of its numbers changed, and every rule on two halves of the days."""
    from flows.reports.sensitivity import tables
    from flows.reports.tables import print_rows

    variants, halves = tables(_published(given))
    if as_json:
        found = {"variants": variants.to_dicts(), "halves": halves.to_dicts()}
        click.echo(json.dumps(found, indent=2, default=str))
        return
    print_rows(variants.columns, variants.rows(), as_json=False)
    print_rows(halves.columns, halves.rows(), as_json=False)


@click.command()
@click.option("--hashprice", type=float, required=True, help="USD per PH/s per day.")
@click.option("--power-price", type=float, required=True, help="All-in cost of a MWh at the mine, USD.")
@click.option("--efficiency", type=float, required=True, help="J/TH of the machines, cooling included.")
@click.option("--day", type=DAY, help="Use the contracts and assumptions known on this day; by default all.")
@json_option
def whatif(hashprice: float, power_price: float, efficiency: float, day: datetime | None, as_json: bool) -> None:
    """Set mining beside the leases on your own numbers: price per MW-year, parity hashprice, value of each lease."""
    from flows.reports.tables import print_rows
    from flows.reports.whatif import as_json as for_program
    from flows.reports.whatif import described
    from flows.reports.whatif import whatif as calculated

    when = day.date() if day else date.max
    result = calculated(hashprice=hashprice, power_price=power_price, efficiency=efficiency, day=when)
    if as_json:
        click.echo(json.dumps(for_program(result), indent=2))
        return
    facts = described()
    rows = [(name, result.figures[name], facts[name][0], facts[name][1]) for name in result.figures]
    print_rows(["figure", "value", "unit", "meaning"], rows, as_json=False)
    print_rows(result.contracts.columns, result.contracts.rows(), as_json=False)
