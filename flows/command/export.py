"""The command that writes a publication to files for others: CSV, a workbook, or a data package."""

import sys
from pathlib import Path
from typing import Any, Final

import click

from flows.command.options import settings_options
from flows.settings import read_settings
from schemas.errors import SettingsError

ENDINGS: Final = {"csv": "", "xlsx": ".xlsx", "zip": ".zip", "superset": "-superset.zip"}


@click.command()
@click.argument("tables", nargs=-1, metavar="[TABLE]...")
@click.option(
    "--format",
    "form",
    type=click.Choice([*ENDINGS]),
    help="csv: a folder of CSV files. xlsx: a workbook. zip: the data package, Parquet with its description. "
    "superset: no tables, but a dashboard of Apache Superset that reads them where they are. "
    "By default what -o ends in, or else zip.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="By default hashpivot-VERSION here.",
)
@settings_options
def export(tables: tuple[str, ...], form: str | None, output: Path | None, **given: Any) -> None:
    """Write all tables of the current publication, or each TABLE, to files that can be passed on."""
    from flows.reports.export import picked_tables, version_of, write_csv, write_package, write_sheets

    published = read_settings(**given).published
    named = {".xlsx": "xlsx", ".zip": "zip"}.get(output.suffix.lower(), "csv") if output else "zip"
    chosen = form or named
    path = output or Path(f"hashpivot-{version_of(published)}{ENDINGS[chosen]}")
    if chosen == "superset":
        _write_dashboard(published, tables, path)
        return
    names = picked_tables(published, tables)
    if chosen == "zip":
        count = write_package(published, names, path)
        click.echo(f"wrote {path}: {count} files, {path.stat().st_size / 1e6:,.1f} MB")
        return
    left_out: list[str] = []
    with click.progressbar(names, label=f"writing {path}", file=sys.stderr) as each:
        if chosen == "csv":
            write_csv(published, each, path)
        else:
            left_out = write_sheets(published, each, path)
    click.echo(f"wrote {path}: {len(names) - len(left_out)} tables")
    for line in left_out:
        click.echo(line, err=True)


def _write_dashboard(published: Path, tables: tuple[str, ...], path: Path) -> None:
    from flows.reports.superset import write_dashboard

    if tables:
        raise SettingsError("TABLE", ", ".join(tables), "none with --format superset", "leave it out")
    click.echo(f"wrote {path}: a dashboard of {write_dashboard(published, path)} charts")
