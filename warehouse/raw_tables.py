"""Statements of the raw tables, made from the schema of each: its columns and, as `unique`, its key.

A raw table has the columns of its schema, and `source`, `revision` and `batch_id`. The view `raw.latest_<table>` of its
migration shows the newest revision of each key. What is `RETRACTABLE` or `WITHDRAWABLE` has `is_retracted` too, and a
view `raw.newest_<table>` in which the newest revision may be a retraction; `raw.latest_<table>` leaves these out.
"""

from functools import cache
from typing import Final

from schemas.observations import KEYS, OBSERVED, QUARANTINE, ObservedTable
from warehouse.statements import quoted

RETRACTABLE: Final = (ObservedTable.MINER_BLOCK_FLOW, ObservedTable.BLOCK)
"""The tables by height. Transfers need no retraction: they count by the flows of their block."""
WITHDRAWABLE: Final = tuple(table for table, stated in QUARANTINE.items() if stated.is_sound)
"""The tables that rows enter by a decision, which can be undone: retracted row by row."""


def leading(table: ObservedTable) -> str | None:
    """The column of the key in whose order rows come, so that DuckDB's statistics of a block of rows bound it."""
    return next((name for name in ("height", "day") if name in KEYS[table]), None)


@cache
def append_statement(table: ObservedTable) -> str:
    """Add the rows of `incoming` that are new, or that differ from the newest revision of their key.

    Binds `source`, `batch_id`, and where the table has a `leading` column the `least` and the `most` of it, so that
    nothing of history is read but what lies between them.
    """
    columns = [quoted(name) for name in OBSERVED[table].columns]
    key = [quoted(name) for name in KEYS[table]]
    given = "\n    ".join(f"incoming.{name}," for name in columns)
    same_key = "\n    and ".join(f"latest.{name} = incoming.{name}" for name in key)
    if lead := leading(table):
        same_key += f"\n    and latest.{quoted(lead)} between $least and $most"
    changed = "\n    or ".join(f"latest.{name} is distinct from incoming.{name}" for name in columns if name not in key)
    newest = "latest"
    if table in (*RETRACTABLE, *WITHDRAWABLE):
        newest, changed = "newest", f"{changed}\n    or latest.is_retracted"
    return f"""\
insert into raw.{quoted(table)} by name
select
    $source as source,
    {given}
    coalesce(latest.revision + 1, 0)::smallint as revision,
    $batch_id as batch_id
from incoming
left join raw.{quoted(f"{newest}_{table}")} as latest
    on latest.source = $source
    and {same_key}
where latest.revision is null
    or {changed}
order by {", ".join(f"incoming.{name}" for name in key)};
"""


@cache
def count_statement(table: ObservedTable) -> str:
    """How many rows of a batch are new and how many are revisions. Binds the batch."""
    return f"""\
select count(*) filter (where revision = 0), count(*) filter (where revision > 0)
from raw.{quoted(table)}
where batch_id = ?;
"""


@cache
def retract_statement(table: ObservedTable) -> str:
    """Add a retraction of each row above a height that still counts. Binds `source`, `above_height` and `batch_id`."""
    return f"""\
insert into raw.{quoted(table)} by name
select latest.* replace (
    (latest.revision + 1)::smallint as revision,
    $batch_id as batch_id,
    true as is_retracted
)
from raw.{quoted(f"latest_{table}")} as latest
where latest.source = $source and latest.height > $above_height
order by latest.height;
"""


@cache
def withdraw_statement(table: ObservedTable) -> str:
    """Undo what a batch of a decision has added: the revision before counts again, or none where there was none.

    Only of rows whose newest revision is of that batch. Binds `batch_id`, and the batch as `entered_batch_id`.
    """
    key, name = KEYS[table], quoted(table)
    same_key = "\n    and ".join(f"before.{quoted(each)} = newest.{quoted(each)}" for each in key)
    cells = "\n    ".join(
        f"case when before.revision is null then newest.{each} else before.{each} end as {each},"
        for each in map(quoted, OBSERVED[table].columns)
    )
    return f"""\
insert into raw.{name} by name
select
    newest.source,
    {cells}
    (newest.revision + 1)::smallint as revision,
    $batch_id as batch_id,
    coalesce(before.is_retracted, true) as is_retracted
from raw.{quoted(f"newest_{table}")} as newest
left join raw.{name} as before
    on before.source = newest.source
    and {same_key}
    and before.revision = newest.revision - 1
where newest.batch_id = $entered_batch_id;
"""


@cache
def read_statement(table: ObservedTable, view: str) -> str:
    """The rows that one source stated, of a view of `table` in the schema raw. Takes the variable `source`."""
    return f"""\
select {", ".join(quoted(name) for name in OBSERVED[table].columns)}
from raw.{quoted(view)}
where source = getvariable('source');
"""


@cache
def read_between_statement(table: ObservedTable, view: str) -> str:
    """Those rows from a height to another. Takes the variables `source`, `first_height` and `last_height`."""
    read = read_statement(table, view).rstrip().removesuffix(";")
    return f"{read}\n    and height between getvariable('first_height') and getvariable('last_height');\n"
