"""Commands that keep a home and bring it back: backup, restore."""

import json
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flows.command.hints import pasteable
from flows.command.options import json_option, settings_options
from flows.settings import Settings, read_settings
from schemas.errors import WarehouseError

if TYPE_CHECKING:
    from warehouse.backup import Contents


@click.command()
@click.argument("destination", type=click.Path(path_type=Path))
@settings_options
@json_option
def backup(destination: Path, as_json: bool, **given: Any) -> None:
    """Copy what cannot be fetched again to DESTINATION, a new file or a folder: observations, runs, publications."""
    from warehouse.backup import write_backup
    from warehouse.journal import one_run_at_a_time
    from warehouse.restore import finish_restore

    settings = read_settings(**given)
    if not settings.home.is_dir():
        raise WarehouseError(f"{settings.home}: found no folder, expected the home of a run; name another with --home")
    with one_run_at_a_time(settings.lock_file):
        finish_restore(settings.home)
        path, contents = write_backup(
            settings.home,
            settings.backed_up,
            destination,
            working=settings.working_database,
            made_at=datetime.now(UTC),
            hashpivot_version=version("hashpivot"),
        )
        _report(settings, path, contents, f"Backed up to {path}", as_json=as_json)


@click.command()
@click.argument("archive", type=click.Path(path_type=Path))
@settings_options
@json_option
def restore(archive: Path, as_json: bool, **given: Any) -> None:
    """Restore the file ARCHIVE that `backup` made, into a home without data; whole or not at all."""
    from warehouse.journal import one_run_at_a_time
    from warehouse.restore import restore_backup

    settings = read_settings(**given)
    with one_run_at_a_time(settings.lock_file):
        contents = restore_backup(archive, settings.home, settings.backed_up)
        heading = f"Restored into {settings.home} from {archive}"
        _report(settings, archive, contents, heading, as_json=as_json)
    if not as_json:
        click.echo(pasteable("`hashpivot daily` goes on from there."))


def _report(settings: Settings, path: Path, contents: "Contents", heading: str, *, as_json: bool) -> None:
    """State what the backup holds, and which publication is current in the home."""
    from flows.reports.tables import print_rows
    from warehouse.targets.files import current_publication

    current = current_publication(settings.published)
    parts = [(part, count, size_bytes) for part, (count, size_bytes) in contents.by_part().items()]
    if as_json:
        facts = {
            "file": str(path),
            "made_at": contents.made_at.isoformat(),
            "hashpivot_version": contents.hashpivot_version,
            "publication": current[0] if current else None,
            "parts": [dict(zip(("part", "file_count", "bytes"), part, strict=True)) for part in parts],
        }
        click.echo(json.dumps(facts, indent=2))
        return
    made = f"made {contents.made_at:%Y-%m-%d %H:%M} UTC by hashpivot {contents.hashpivot_version}"
    click.echo(f"{heading}, {made}; current publication: {current[0] if current else 'none'}.")
    print_rows(["part", "files", "bytes"], parts, as_json=False)
