"""The whole computation: newest observations in, checked tables out. Recomputes all history, because that is cheap."""

from collections.abc import Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from graphlib import TopologicalSorter

import polars as pl

from schemas.check import Check
from schemas.enforce import enforce
from schemas.table import Origin, Table, Tables
from transforms.catalog import PUBLISHED, TABLES
from transforms.checks.freshness import check_freshness
from transforms.derivation import Frames
from transforms.derive import NULLS, derive, explain_nulls, explain_stated, published
from transforms.freshness import freshness
from transforms.prepare import Inputs, Prepared, prepare


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """Tables that have passed their schemas, why their values are NULL, and the results of their checks.

    `freshness`: how far behind the day of the run what they are made from is, as `transforms.freshness` states it.
    `frames`: what the tables with one row a day were computed from. `chosen`: the supplier of each series; `computed`:
    how those that nobody states follow from others of theirs; `origins`: the supplier of each origin, without those
    that have none.
    """

    tables: Mapping[str, pl.DataFrame]
    nulls: pl.DataFrame
    freshness: pl.DataFrame
    checks: tuple[Check, ...]
    frames: Frames
    chosen: Mapping[str, str]
    computed: Mapping[str, str]
    origins: Mapping[Origin, str]


def build(inputs: Inputs) -> Built:
    """Compute every derived table.

    Raises `NothingToPublishError` when no source states any day, `ContractError` when a table breaks its schema.
    """
    given = prepare(inputs)
    with ThreadPoolExecutor(max_workers=2) as cores:
        derived = _derive(given, TABLES.values(), cores)
        # Checking is mostly Python's own work and finding reasons mostly that of Polars: each goes on beside the other.
        nulls = cores.submit(_nulls, derived, inputs)
        tables = {name: enforce(published(derived[name], t.metrics), t.schema) for name, t in TABLES.items()}
        checks = [
            replace(check, table_name=name)
            for name, table in TABLES.items()
            if table.checks
            for check in table.checks(given, tables)
        ]
        explained = nulls.result()
    behind = freshness(given, tables, explained, TABLES.values())
    return Built(
        tables=tables,
        nulls=explained,
        freshness=behind,
        checks=(*checks, *check_freshness(behind, inputs.through)),
        frames=Frames(given=given, derived={name: derived[name] for name, t in TABLES.items() if t.key == ("day",)}),
        chosen=given.resolved.chosen,
        computed=given.resolved.computed,
        origins=given.origins,
    )


def frames(inputs: Inputs, tables: Iterable[Table] = TABLES.values()) -> Frames:
    """What `build` computes `tables` and those behind them from, unchecked: to show how a figure came about.

    Raises as `build`.
    """
    given, wanted = prepare(inputs), dict.fromkeys(tables)
    for table in (pending := list(wanted)):
        rests_on = table.lineage.rests_on.values() if table.lineage else ()
        named = {name.partition(".")[0] for names in rests_on for name in names}
        for other in (*table.reads, *(TABLES[name] for name in named & set(TABLES))):
            if other not in wanted:
                wanted[other] = None
                pending.append(other)
    with ThreadPoolExecutor(max_workers=2) as cores:
        return Frames(given=given, derived=_derive(given, wanted, cores))


def _derive(given: Prepared, tables: Iterable[Table], cores: Executor) -> dict[str, pl.DataFrame]:
    """Derive each table as soon as those that it reads are there; two that know nothing of each other get a core each.

    Shape: by table its frame with all inputs and metrics.
    """
    order = TopologicalSorter({table.name: [read.name for read in table.reads] for table in tables})
    order.prepare()
    derived: dict[str, pl.DataFrame] = {}
    running: dict[Future[pl.DataFrame], str] = {}
    while order.is_active():
        for name in order.get_ready():
            table = TABLES[name]
            running[cores.submit(_derived, table, given, {read.name: derived[read.name] for read in table.reads})] = (
                name
            )
        for future in wait(running, return_when=FIRST_COMPLETED).done:
            name = running.pop(future)
            derived[name] = future.result()
            order.done(name)
    return derived


def _derived(table: Table, given: Prepared, read: Tables) -> pl.DataFrame:
    if table.frame is None:
        raise TypeError(f"table {table.name} has no frame, so nothing can be derived")
    frame = derive(table.frame(given, read), table.metrics)
    # Lists come in pieces that depend on the moment, and pieces of memory become pages of the file.
    return frame.rechunk() if any(dtype.is_nested() for dtype in frame.dtypes) else frame


def _nulls(derived: Tables, inputs: Inputs) -> pl.DataFrame:
    """Why values of any table are NULL: rows of `meta.nulls`."""
    found = {
        name: explain_nulls(derived[name], table.metrics, is_daily=table.key == ("day",))
        for name, table in TABLES.items()
        if name not in inputs.detail
    }
    found = {name: found[name] if name in found else inputs.detail[name].nulls for name in TABLES} | {
        table.name: explain_stated(inputs.reference[table.name], {each.name: each.null_rule for each in table.columns})
        for table in PUBLISHED
        if table.reference
    }
    return pl.concat(nulls.select(pl.lit(name).alias("table_name"), *NULLS) for name, nulls in found.items())
