"""Statements of the raw tables, made from the schema of each: its columns and, as `unique`, its key.

A raw table has the columns of its schema, and `source`, `revision` and `batch_id`. The view `raw.latest_<table>` of its
migration shows the newest revision of each key.
"""

from functools import cache

from schemas.observations import KEYS, OBSERVED, ObservedTable
from warehouse.statements import quoted


@cache
def append_statement(table: ObservedTable) -> str:
    """Add the rows of `incoming` that are new, or that differ from the newest revision of their key.

    Binds `source` and `batch_id`.
    """
    columns = [quoted(name) for name in OBSERVED[table].columns]
    key = [quoted(name) for name in KEYS[table]]
    given = "\n    ".join(f"incoming.{name}," for name in columns)
    same_key = "\n    and ".join(f"latest.{name} = incoming.{name}" for name in key)
    changed = "\n    or ".join(f"latest.{name} is distinct from incoming.{name}" for name in columns if name not in key)
    return f"""\
insert into raw.{quoted(table)} by name
select
    $source as source,
    {given}
    coalesce(latest.revision + 1, 0)::smallint as revision,
    $batch_id as batch_id
from incoming
left join raw.{quoted(f"latest_{table}")} as latest
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
def read_statement(table: ObservedTable, view: str) -> str:
    """The rows that one source stated, of a view of `table` in the schema raw. Takes the variable `source`."""
    return f"""\
select {", ".join(quoted(name) for name in OBSERVED[table].columns)}
from raw.{quoted(view)}
where source = getvariable('source');
"""
