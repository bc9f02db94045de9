"""Commands that keep the registry: `hashpivot registry check`, `diff` and `add`."""

from pathlib import Path

import click

from flows.command.hints import pasteable
from flows.command.options import json_option


@click.group()
def registry() -> None:
    """Keep the registry: check it, add a row, see what an edit changes."""


@registry.command("check")
@click.option("--folder", type=click.Path(file_okay=False, path_type=Path), help="Registry files; by default our own.")
@json_option
def registry_check(folder: Path | None, as_json: bool) -> None:
    """Check every row, every link between the tables, and the totals against the changelog."""
    from flows.command.registry import FOLDER, check
    from flows.reports.tables import print_rows

    totals = check(folder or FOLDER)
    print_rows(["total", "value"], list(totals.items()), as_json=as_json)


@registry.command("diff")
@click.option("--against", default="HEAD", show_default=True, help="A folder of registry files, or a git revision.")
@json_option
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
    "--set",
    "cells",
    multiple=True,
    metavar="COLUMN=VALUE",
    help="A cell; repeat. Without any you are prompted for each.",
)
@click.option("--folder", type=click.Path(file_okay=False, path_type=Path), help="Registry files; by default our own.")
@click.option("--yes", is_flag=True, help="Write without a prompt to confirm.")
def registry_add(table: str, cells: tuple[str, ...], folder: Path | None, yes: bool) -> None:
    """Add one row to TABLE; nothing is written unless the whole registry is sound with it."""
    from flows.command.registry import FOLDER, add, preview
    from flows.reports.tables import print_rows

    where = folder or FOLDER
    given = _cells(cells) if cells else _prompted(table, where)
    print_rows(["what", "before", "after", "change"], preview(table, given, where), as_json=False)
    if yes or click.confirm(f"Write this row to {table}.csv?"):
        add(table, given, where)
        written = f"wrote {where / f'{table}.csv'}; state in the changelog what changed"
        click.echo(pasteable(f"{written}, then `hashpivot registry check`"))


def _cells(cells: tuple[str, ...]) -> dict[str, str]:
    """Cells of the form COLUMN=VALUE."""
    split = [cell.partition("=") for cell in cells]
    if bad := [name for name, sign, _ in split if not sign]:
        raise click.UsageError(f"--set {bad[0]}: expected COLUMN=VALUE")
    return {name: value for name, _, value in split}


def _prompted(table: str, folder: Path) -> dict[str, str]:
    """Cells that a person types, one column after the other, each prompted for again until it can be read."""
    from schemas.registry import REGISTRY
    from warehouse.registry import readable

    if table not in REGISTRY:
        raise click.UsageError(f"no table {table}; expected one of {', '.join(sorted(REGISTRY))}")
    cells: dict[str, str] = {}
    for name, column in REGISTRY[table].columns.items():
        click.echo(f"\n{column.description}" + (" (may be empty)" if column.nullable else ""))
        while True:
            text = click.prompt(f"{name} [{(column.metadata or {}).get('unit')}]", default="", show_default=False)
            problem = readable(table, name, text.strip(), folder)
            if problem is None:
                cells[name] = text.strip()
                break
            click.echo(f"  {problem}", err=True)
    return cells
