"""Records what a run applies beside observations: registry, labels, pool list, definitions, code, order of sources."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache, partial
from hashlib import sha256
from pathlib import Path
from typing import Final

import polars as pl

import schemas
import transforms
from flows.run.plan import Run
from flows.sources.kinds import kind_of
from flows.sources.protocol import Labelled
from schemas.series import Group
from transforms.catalog import PUBLISHED
from warehouse import applied_sets
from warehouse.applied_sets import applied_rows, apply_set, digest_of
from warehouse.pool_list import pool_rows
from warehouse.registry import registry_digest
from warehouse.registry_rows import registry_rows
from warehouse.working import Connection

LIBRARY: Final = "library polars"


def record_labels(run: Run, connection: Connection, source_name: str) -> None:
    """Record the labels and the pool list that `source_name` has attributed blocks with, from this run on."""
    kind = kind_of(source_name)
    if kind.labelled:
        source = run.sources[source_name]
        if isinstance(source, Labelled):
            labels = source.labels
            _record(run, connection, applied_sets.LABELS, source.label_set, lambda: _as_json(labels))
    if kind.names_pools:
        rows = pool_rows()
        _record(run, connection, applied_sets.POOLS, digest_of(rows), lambda: rows)


def record_computed(run: Run, connection: Connection) -> None:
    """Record what this run computes its tables by, as it publishes them. The caller has the transaction."""
    _record(run, connection, applied_sets.REGISTRY, registry_digest(), registry_rows)
    for name, rows in (
        (applied_sets.DEFINITIONS, definitions()),
        (applied_sets.CODE, code()),
        (applied_sets.PRECEDENCE, ranked(run.profile.precedence)),
    ):
        _record(run, connection, name, digest_of(rows), partial(tuple, rows))


def _record(run: Run, connection: Connection, name: str, digest: str, rows: Callable[[], Iterable[str]]) -> None:
    apply_set(connection, name, digest, rows, run_id=run.run_id, applied_at=run.now)


def definitions() -> tuple[str, ...]:
    """Each published column, `table.column`, and the version of its definition, with a blank between."""
    return tuple(f"{t.name}.{column.name} {column.definition_version}" for t in PUBLISHED for column in t.columns)


@cache
def code() -> tuple[str, ...]:
    """Each module that decides what values are, and the digest of its text, with a blank between."""
    found = [f"{LIBRARY} {pl.__version__}"]
    for package in (schemas, transforms):
        folder = Path(str(package.__file__)).parent
        for file in sorted(folder.rglob("*.py")):
            found.append(f"{file.relative_to(folder.parent).as_posix()} {sha256(file.read_bytes()).hexdigest()}")
    return tuple(found)


def ranked(precedence: Mapping[Group, Sequence[str]]) -> tuple[str, ...]:
    """Each group of series, and the sources that a profile takes it from, the first that states it first."""
    return tuple(f"{group.value} {','.join(sources)}" for group, sources in sorted(precedence.items()))


def named(rows: Iterable[str]) -> list[str]:
    """Names of rows `NAME VALUE`, each once, sorted."""
    return sorted({row.rpartition(" ")[0] for row in rows})


def changed_since(connection: Connection) -> Iterator[tuple[str, list[str]]]:
    """Definitions and code that are others now than in the newest sets of `connection`: (which, names of those)."""
    for name, now in ((applied_sets.DEFINITIONS, definitions()), (applied_sets.CODE, code())):
        then = applied_rows(connection, name)
        if then is not None and (names := named({*then} ^ {*now})):
            yield name, names


def _as_json(rows: pl.DataFrame) -> list[str]:
    return rows.select(pl.struct(pl.all()).struct.json_encode()).to_series().to_list()
