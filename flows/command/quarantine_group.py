"""Commands for rows that failed their contract: `hashpivot quarantine list`, `accept` and `reject`."""

import getpass
import json
import os
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Final

import click

from flows.command.hints import pasteable
from flows.command.options import json_option, settings_options
from flows.settings import read_settings
from schemas.quarantine import Status, key_text
from schemas.text import cell

if TYPE_CHECKING:
    import polars as pl

ALL: Final = "all"
_ENTRIES: Final = click.argument("entry_ids", metavar="ID...", type=click.IntRange(min=1), nargs=-1, required=True)
_JSON_CELLS: Final = {"row_key": "key", "received": "received", "stored_row": "row"}
"""Columns that hold JSON, by what they are called for a program."""


@click.group()
def quarantine() -> None:
    """Rows that a source sent and that failed: list them, let them in or keep them out."""


@quarantine.command("list")
@click.option(
    "--status",
    type=click.Choice([*(status.value for status in Status), ALL]),
    default=Status.HELD.value,
    show_default=True,
    help="What became of them.",
)
@click.option("--source", help="Only of this supplier, as `meta.sources` names it.")
@settings_options
@json_option
def quarantine_list(status: str, source: str | None, as_json: bool, **given: Any) -> None:
    """List the rows, with the rule that each broke, and what was decided."""
    from flows.reports.tables import print_rows
    from flows.run.held_rows import listed

    found = listed(read_settings(**given), None if status == ALL else Status(status), source)
    if as_json:
        _print_json(found)
        return
    if found.is_empty():
        click.echo(f"no row{'' if status == ALL else f' {status}'}")
        return
    rows = [
        (
            row["entry_id"],
            row["source"],
            row["observed_table"],
            key_text(row["row_key"]),
            row["reason"],
            f"{row['last_seen_at']:%Y-%m-%d %H:%M}",
            _state(row),
        )
        for row in found.iter_rows(named=True)
    ]
    print_rows(["id", "source", "table", "row", "why it failed", "last seen", "status"], rows, as_json=False)


@quarantine.command("accept")
@_ENTRIES
@click.option("--note", required=True, help="Why the row is right; published with it.")
@click.option("--by", help="Who decides; by default the name of the user.")
@settings_options
@json_option
def quarantine_accept(entry_ids: tuple[int, ...], note: str, by: str | None, as_json: bool, **given: Any) -> None:
    """Let rows in despite the rule that they broke; what is published from them is marked."""
    _decide(Status.ACCEPTED, entry_ids, note, by, as_json=as_json, given=given)


@quarantine.command("reject")
@_ENTRIES
@click.option("--note", required=True, help="Why the row is wrong.")
@click.option("--by", help="Who decides; by default the name of the user.")
@settings_options
@json_option
def quarantine_reject(entry_ids: tuple[int, ...], note: str, by: str | None, as_json: bool, **given: Any) -> None:
    """Keep rows out for good, also when they are sent again; take accepted ones out again."""
    _decide(Status.REJECTED, entry_ids, note, by, as_json=as_json, given=given)


def _decide(
    status: Status, entry_ids: tuple[int, ...], note: str, by: str | None, *, as_json: bool, given: dict[str, Any]
) -> None:
    from flows.run.held_rows import decide

    found = decide(read_settings(**given), status, entry_ids, by=cell(by or _user()), note=cell(note.strip()))
    if as_json:
        _print_json(found)
        return
    for row in found.iter_rows(named=True):
        click.echo(f"{status} entry {row['entry_id']}: {row['source']} {key_text(row['row_key'])}, {row['reason']}")
    click.echo(pasteable("The next run publishes it: `hashpivot daily`."))


def _user() -> str:
    """The name of the user of this process, or the number of one that the system has no name for."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"


def _state(row: dict[str, Any]) -> str:
    """The status, with who decided or why it was released."""
    if row["decided_by"] and row["status"] in (Status.ACCEPTED, Status.REJECTED):
        return f"{row['status']} by {row['decided_by']}: {row['note']}"
    return f"{row['status']}: {row['released_because']}" if row["released_because"] else str(row["status"])


def _print_json(found: "pl.DataFrame") -> None:
    """Rows with every column, JSON cells as objects."""
    rows = []
    for row in found.iter_rows(named=True):
        objects = {name: json.loads(row.pop(column) or "null") for column, name in _JSON_CELLS.items()}
        rows.append(
            {
                name: value.isoformat() if isinstance(value, datetime | date) else value
                for name, value in {"entry_id": row.pop("entry_id"), **objects, **row}.items()
            }
        )
    click.echo(json.dumps(rows, indent=2))
