"""Commands that read a publication, or compute from what the reader gives."""

import json
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final

import click

from flows.command.hints import pasteable
from flows.command.options import DAY, json_option, settings_options
from flows.command.output import deliver, form_of, output_options
from flows.settings import read_settings

NEWEST_ROWS: Final = 10
TO_BE_READ: Final = {"claims": "claim", "episodes": "capitulation_episode"}
"""Names that `show` lays out for people, and the table of each."""
MOST_ROWS: Final = 1_000
"""Of a query, so that nobody waits for a table of millions of rows on a terminal."""


def _published(given: dict[str, Any]) -> Path:
    """The folder of the publications; says on stderr where the file that readers are led to was changed."""
    from warehouse.integrity import changed_files

    published = read_settings(**given).published
    if changed := changed_files(published):
        warning = (
            f"warning: {published / changed[0]}: changed after it was published, its figures may be anybody's; "
            "run `hashpivot doctor`, then `hashpivot daily` to publish again"
        )
        click.echo(pasteable(warning), err=True)
    return published


@click.command()
@click.argument("table", required=False)
@click.option(
    "--last",
    "--limit",
    "last",
    type=click.IntRange(1),
    metavar="N",
    help=f"The N newest rows, the newest last: {NEWEST_ROWS} unless written to a file.",
)
@click.option(
    "--columns", "--column", "columns", multiple=True, metavar="A,B", help="These columns; by default what fits."
)
@click.option("--all", "takes_all", is_flag=True, help="All columns, below each other where they do not fit.")
@click.option("--svg", type=click.Path(dir_okay=False, path_type=Path), help="Write the summary as a picture instead.")
@output_options
@settings_options
def show(
    table: str | None,
    last: int | None,
    columns: tuple[str, ...],
    takes_all: bool,
    svg: Path | None,
    form: str | None,
    output: Path | None,
    as_json: bool,
    **given: Any,
) -> None:
    """Show the newest rows of a published TABLE, `claims` or `episodes` to be read, or the summary and all tables.

    A table shows as many columns as fit the terminal and states how many it leaves out.
    """
    from flows.reports.formats import Form
    from flows.reports.selections import QueryRows, Selection, TableRows
    from warehouse.publication_queries import TABLE_LIST, TABLE_SIZES

    chosen = form_of(form, output, as_json=as_json)
    published = _published(given)
    if svg:
        from flows.reports.summary import picture

        svg.write_text(picture(published), encoding="utf-8")
        click.echo(f"wrote {svg}")
        return
    if table == "claims" and chosen is Form.TABLE:
        from flows.reports.claims import print_claims

        print_claims(published)
        return
    if table == "episodes" and chosen is Form.TABLE and not (columns or takes_all or last):
        from flows.reports.episodes import print_episodes

        print_episodes(published)
        return
    if table is None and chosen is Form.TABLE:
        _print_summary(published)
    named = [name.strip() for each in columns for name in each.split(",") if name.strip()]
    selection: Selection = (
        QueryRows(published, TABLE_SIZES if chosen is Form.TABLE else TABLE_LIST)
        if table is None
        else TableRows(published, TO_BE_READ.get(table, table), named)
    )
    deliver(
        selection,
        chosen,
        output,
        limit=last,
        usual_limit=NEWEST_ROWS if table is not None and table not in TO_BE_READ else None,
        more_rows="--last N shows more, -o FILE.csv writes all",
        takes_all=takes_all,
    )


def _print_summary(published: Path) -> None:
    from rich.console import Console

    from flows.reports.summary import summary

    console = Console()
    console.print(summary(published))
    console.print()


@click.command()
@click.argument("statement")
@click.option(
    "--limit",
    type=click.IntRange(1),
    metavar="N",
    help=f"At most N rows: {MOST_ROWS:,} unless written to a file.",
)
@click.option("--all", "takes_all", is_flag=True, help="All columns, below each other where they do not fit.")
@output_options
@settings_options
def sql(
    statement: str,
    limit: int | None,
    takes_all: bool,
    form: str | None,
    output: Path | None,
    as_json: bool,
    **given: Any,
) -> None:
    """Run one read-only SQL STATEMENT on the current publication."""
    from flows.reports.selections import QueryRows

    chosen = form_of(form, output, as_json=as_json)
    deliver(
        QueryRows(_published(given), statement),
        chosen,
        output,
        limit=limit,
        usual_limit=MOST_ROWS,
        more_rows="--limit N prints more, -o FILE.csv writes all",
        takes_all=takes_all,
    )


@click.command()
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Write the report anew, as one file, here."
)
@click.option(
    "--pictures", type=click.Path(file_okay=False, path_type=Path), help="Write four charts as PNG to this folder."
)
@settings_options
def report(output: Path | None, pictures: Path | None, **given: Any) -> None:
    """Print where the HTML report of the current publication is, or write it anew to a file of its own."""
    from flows.reports.page.file import published_report, write_pictures, write_report

    published = _published(given)
    if output is None and pictures is None:
        click.echo(published_report(published))
    if output is not None:
        write_report(published, output)
        click.echo(f"wrote {output}")
    for path in write_pictures(published, pictures) if pictures is not None else ():
        click.echo(f"wrote {path}")


@click.command()
@click.argument("table")
@click.argument("column")
@click.argument("key", nargs=-1, metavar="[DAY] [KEY]...")
@click.option("--exchange", help="The exchange of the row, in a table that has rows by exchange.")
@click.option("--pool", help="The pool of the row, in a table that has rows by pool.")
@click.option("--txid", help="One transaction, in the table miner_transfer.")
@click.option("--top", type=click.IntRange(1), default=10, show_default=True, help="The largest parts to list.")
@click.option("--all", "everything", is_flag=True, help="List every part.")
@settings_options
@json_option
def explain(
    table: str,
    column: str,
    key: tuple[str, ...],
    exchange: str | None,
    pool: str | None,
    txid: str | None,
    top: int,
    everything: bool,
    as_json: bool,
    **given: Any,
) -> None:
    """Explain the value of COLUMN in one row of TABLE: definition, formula, inputs, observations, down to their source.

    The row is named by the values of its key, such as a day, or as NAME=VALUE. The formula is computed again from the
    values that are listed. A flow that was read from blocks is listed by transactions or by blocks as well, with the
    addresses of both sides where an own node has them. --json has everything.
    """
    from flows.command.explaining import explain_any, explain_parts
    from flows.reports.explain import is_of_blocks

    published, settings = _published(given), read_settings(**given)
    parts = {name: value for name, value in (("exchange", exchange), ("pool", pool), ("txid", txid)) if value}
    if is_of_blocks(published, table, column):
        explain_parts(published, settings, table, column, key, parts, top=None if everything else top, as_json=as_json)
        return
    explain_any(
        published, settings, table, column, [*key, *(f"{name}={value}" for name, value in parts.items())], as_json
    )


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
@click.option(
    "--horizon",
    type=click.Choice(["30", "90", "180", "365"]),
    default="180",
    help="Days, of the comparison of all rules.",
)
@click.option("--draws", type=click.IntRange(1), metavar="N", help="Resampled paths of the price, 10,000 by default.")
@settings_options
@json_option
def backtest(horizon: str, draws: int | None, as_json: bool, **given: Any) -> None:
    """Print what the price did after the signals of each rule, beside what it did anyway and what chance gives.

    Below it how far the episodes of each rule lie before or after the lows of the price, and what the signals were as
    first published. The figures are those of the tables signal_backtest, price_low, price_low_by_rule and
    signal_first_published; the paths that are put together at random are drawn here, the same each time.
    """
    from flows.reports.backtest import lines, read_backtest
    from transforms.bootstrap import DRAWS

    found = read_backtest(_published(given), draws or DRAWS)
    if as_json:
        tables = {"rows": found.rows, "lows": found.lows, "first_published": found.first_published}
        tables["left_for_ai"] = found.left_for_ai
        facts = {"block_days": found.block_days} | {name: rows.to_dicts() for name, rows in tables.items()}
        click.echo(json.dumps(facts, indent=2, default=str))
        return
    for line in lines(found, int(horizon)):
        click.echo(line)


@click.command()
@click.option("--hashprice", type=float, required=True, help="USD per PH/s per day.")
@click.option("--power-price", type=float, required=True, help="All-in cost of a MWh at the mine, USD.")
@click.option("--efficiency", type=float, required=True, help="J/TH of the machines, cooling included.")
@click.option("--day", type=DAY, help="Use the contracts and assumptions known on this day; by default all.")
@json_option
def whatif(hashprice: float, power_price: float, efficiency: float, day: datetime | None, as_json: bool) -> None:
    """Set mining beside the leases on your own numbers: price per MW-year, parity hashprice, value of each lease."""
    from flows.reports.tables import print_rows
    from flows.reports.whatif import PRINTED_COLUMNS, described
    from flows.reports.whatif import as_json as for_program
    from flows.reports.whatif import whatif as calculated

    when = day.date() if day else date.max
    result = calculated(hashprice=hashprice, power_price=power_price, efficiency=efficiency, day=when)
    if as_json:
        click.echo(json.dumps(for_program(result), indent=2))
        return
    click.echo(
        f"Mining at your hashprice of {hashprice:g} USD per PH/s and day, your power price of {power_price:g} USD per "
        f"MWh and your machines of {efficiency:g} J/TH, beside the leases of the registry.\n"
    )
    facts = described()
    rows = [(name, result.figures[name], facts[name][0], facts[name][1]) for name in result.figures]
    print_rows(["figure", "value", "unit", "meaning"], rows, as_json=False)
    click.echo("\nThe leases; npv_after_mining_usd is less the margin that their power would earn in your machines.\n")
    picked = result.contracts.select(PRINTED_COLUMNS)
    print_rows(picked.columns, picked.rows(), as_json=False)
    click.echo(f"\n{picked.width} of {result.contracts.width} columns: --json has all")
