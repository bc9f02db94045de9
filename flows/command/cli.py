"""The `hashpivot` command: one line of error and an exit code for each failure, JSON where a program reads it."""

import sys
from typing import Any

import click

from flows.command import backup, export, quarantine_group, read, registry_group, run
from flows.command.failures import StoppableGroup, exit_code_of, verbose_everywhere
from flows.command.hints import pasteable
from flows.command.options import json_option, settings_options


@click.group(cls=StoppableGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="hashpivot")
def cli() -> None:
    """How hard Bitcoin's miners are squeezed, and how much of their power leaves for AI."""


@cli.command()
@settings_options
@json_option
def doctor(as_json: bool, **given: Any) -> None:
    """Check versions, settings, sources, disk, clock, locks and the publication, and state what to do."""
    from flows.command.doctor import examine
    from flows.reports.tables import print_rows

    findings = examine(given)
    rows = [(f.subject, f.state, pasteable(f.found), pasteable(f.remedy)) for f in findings]
    print_rows(["what", "state", "found", "what to do"], rows, as_json=as_json)
    if not all(finding.ok for finding in findings):
        sys.exit(1)


@cli.command()
@click.option("--check", is_flag=True, help="Only check whether the page is fresh.")
def dictionary(check: bool) -> None:
    """Write the generated pages: warehouse/DICTIONARY.md from the columns, docs/quality.md from the checks."""
    from transforms.catalog import PUBLISHED
    from transforms.checks.catalogue import CATALOGUE
    from warehouse.dictionary import PAGE, QUALITY_PAGE, page, quality_page

    for path, text in ((PAGE, page(PUBLISHED)), (QUALITY_PAGE, quality_page(CATALOGUE))):
        if not check:
            path.write_text(text, encoding="utf-8")
            click.echo(f"wrote {path}")
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            raise click.ClickException(f"{path.name} is stale; run `hashpivot dictionary` and commit it")
        else:
            click.echo(f"{path.name} is fresh")


for command in (
    run.daily,
    run.backfill,
    run.relabel,
    run.publish_only,
    run.serve,
    backup.backup,
    backup.restore,
    export.export,
    read.show,
    read.sql,
    read.report,
    read.explain,
    read.sensitivity,
    read.backtest,
    read.whatif,
):
    cli.add_command(command)
cli.add_command(registry_group.registry)
cli.add_command(quarantine_group.quarantine)


verbose_everywhere(cli)


def main() -> None:
    """Entry point: every failure becomes one line and an exit code."""
    sys.exit(exit_code_of(cli))


if __name__ == "__main__":
    main()
