"""A target in a PostgreSQL database: one version at a time, in schemas with fixed names.

```
hashpivot            the tables of the home
hashpivot_meta       those of `meta`; publication: which version it is; contents: a digest of each table and part
hashpivot_answers    what the views of the home show, as tables
hashpivot_parts      a partition a year of each table in parts
```
Everything happens in one transaction, so that a kill of either side leaves the version before. What changed is loaded
into fresh schemas (`..._draft`), which nobody else ever sees; then the tables that it replaces are locked, dropped, and
those of the draft take their names. With the locks no reader has begun on what goes: a transaction that has read any of
it keeps all of it, and the publication waits, a little at a time, so that readers do not wait for it. Rows are frozen
as they are loaded, so that a transaction with an older snapshot that has read nothing yet finds the new version whole.
What did not change stays where it is.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import chain, zip_longest
from typing import Final

import asyncpg

from schemas.errors import TransientError, WarehouseError
from warehouse.statements import one_line, quoted, statement, text
from warehouse.targets.finished import Copied, FinishedVersion, Shown
from warehouse.targets.postgresql_plan import Before, Plan, contents_of, part_name, plan_of, publication_of
from warehouse.targets.postgresql_server import (
    COPY_TIMEOUT_SECONDS,
    Place,
    connected,
)
from warehouse.targets.postgresql_tables import DAY, Part, TargetTable, target_tables
from warehouse.views import SCHEMA as VIEWS

MARK: Final = "hashpivot: "
"""What the comment of each schema of ours begins with."""
DRAFT: Final = "_draft"
PARTS: Final = "parts"
PIECES_AHEAD: Final = 8
"""Of rows that are encoded before they are sent; some 25 MB at most."""
OF_YEAR: Final = "of_year"
LOCK_WAITS_MS: Final = (50, 100, 200, 400, 800, 800, 800, 800, 800)
"""Of each attempt to lock what is replaced: readers that come meanwhile wait behind it."""
LOCK_PAUSES_SECONDS: Final = (0.05, 0.2, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0)
"""Between the attempts."""
PART_OF_DEADLOCK_TIMEOUT: Final = 0.8
"""An attempt ends before the server looks for a deadlock, of which it might end the reader."""

_ABOUT: Final[Mapping[str, str]] = {
    "main": "tables of Bitcoin miners and AI data centres",
    "meta": "what is known of the tables, their columns and sources; `publication` states the version",
    VIEWS: "what the tables show, by question",
    PARTS: "years of long tables; read the tables themselves",
}
"""By schema of the home its comment, after the mark."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresTarget:
    """The schemas at `postgresql://USER@HOST:PORT/DATABASE/SCHEMA`; see the module."""

    address: str
    time_scale: float = 1
    """Shrinks pauses and time-outs."""

    def shown(self) -> Shown | None:
        """The version that readers see; see `CopyTarget`."""
        return asyncio.run(self._shown())

    def publish(self, version: FinishedVersion) -> Copied:
        """Load what changed, and let it take the place of what it replaces; see `CopyTarget`."""
        return asyncio.run(self._publish(version))

    async def _shown(self) -> Shown | None:
        place = Place.of(self.address)
        async with connected(place, self.time_scale) as connection:
            before = await _Publishing(place, connection, self.time_scale).before()
            return Shown(version=before.version, day=str(before.day)) if before.version else None

    async def _publish(self, version: FinishedVersion) -> Copied:
        place = Place.of(self.address)
        async with connected(place, self.time_scale) as connection:
            return await _Publishing(place, connection, self.time_scale).publish(version)


@dataclass
class _Publishing:
    """One publication over one connection."""

    place: Place
    connection: asyncpg.Connection
    time_scale: float
    encoded: "_Encoded | None" = None
    loaded_count: int = 0
    loaded_bytes: int = 0

    def schema(self, of_home: str) -> str:
        """The schema of PostgreSQL for one of the home, or for the partitions."""
        return self.place.schema if of_home == "main" else f"{self.place.schema}_{of_home}"

    def draft(self, of_home: str) -> str:
        return f"{self.schema(of_home)}{DRAFT}"

    @property
    def schemas(self) -> dict[str, str]:
        return {of_home: self.schema(of_home) for of_home in ("main", "meta", VIEWS, PARTS)}

    async def before(self) -> Before:
        """What is there. Raises `WarehouseError` where it is not ours."""
        names = list(self.schemas.values())
        found = await self.connection.fetch(statement("postgresql_schemas"), names)
        for name, mark, has_any in found:
            if has_any and not mark.startswith(MARK):
                raise WarehouseError(
                    f"target {self.place.address}: found a schema {name} that hashpivot has not made, expected "
                    "none or an empty one; move it away, or name another schema at the end of the address"
                )
        relations = await self.connection.fetch(statement("postgresql_relations"), names)
        readers = {(schema, name): tuple(roles) for schema, name, roles in relations}
        has_reader = bool(
            await self.connection.fetchval("select 1 from pg_roles where rolname = $1::text", self._reader)
        )
        meta = self.schema("meta")
        if not {(meta, "publication"), (meta, "contents")} <= set(readers):
            return Before(readers=readers, has_reader=has_reader)
        stated = await self.connection.fetchrow(f"select version, day, family, manifest_sha256 from {meta}.publication")
        contents = await self.connection.fetch(f"select schema_name, table_name, part, digest from {meta}.contents")
        if stated is None:
            return Before(readers=readers, has_reader=has_reader)
        there = {
            (of_home, name, part): digest
            for of_home, name, part, digest in contents
            if self._relation(of_home, name, part) in readers
        }
        return Before(
            **dict(stated),
            contents=there,
            readers=readers,
            has_reader=has_reader,
            is_whole=len(there) == len(contents),
        )

    def _relation(self, of_home: str, name: str, part: str) -> tuple[str, str]:
        return (self.schema(PARTS), part_name(name, part)) if part else (self.schema(of_home), name)

    async def publish(self, version: FinishedVersion) -> Copied:
        """See `PostgresTarget.publish`."""
        async with self.connection.transaction():
            await self._require_alone()
            before = await self.before()
            if before.manifest_sha256 == version.digest and before.is_whole:
                return Copied(version=version.version, is_new=False, kind="tables")
            if before.version is not None:
                remedy = "name another schema at the end of the address, or drop those"
                version.require_family(self.place.address, before.family, remedy)
            with target_tables(version) as tables:
                plan = plan_of(tables, before)
                about = [publication_of(version), contents_of(tables)]
                await self._make_schemas(before)
                await self._fill(plan, about, before)
            await self._lock(plan, about, before)
            await self._switch(plan, about, before)
        return Copied(
            version=version.version,
            uploaded_count=self.loaded_count,
            uploaded_bytes=self.loaded_bytes,
            reused_count=plan.kept_count,
            pruned=(before.version,) if before.version else (),
            kind="tables",
        )

    async def _require_alone(self) -> None:
        (is_alone,) = await self.connection.fetchrow(
            "select pg_try_advisory_xact_lock(hashtext('hashpivot'), hashtext($1::text))", self.place.schema
        )
        if not is_alone:
            raise TransientError(
                f"target {self.place.address}: found another publication under way there, expected one at a time; "
                "try again when it is over"
            )

    async def _make_schemas(self, before: Before) -> None:
        """Make the schemas that are missing, and those of the draft; let the role of readers in, where there is one."""
        found = await self.connection.fetch(statement("postgresql_schemas"), list(self.schemas.values()))
        marks = {name: mark for name, mark, _ in found}
        made = []
        for of_home, name in self.schemas.items():
            if name not in marks:
                made.append(f"create schema {name}")
            if not marks.get(name, "").startswith(MARK):
                made.append(f"comment on schema {name} is {text(MARK + _ABOUT[of_home])}")
            made.append(f"create schema {self.draft(of_home)}")
        if before.has_reader:
            opened = ", ".join(self.schema(of_home) for of_home in ("main", "meta", VIEWS))
            made.append(f"grant usage on schema {opened} to {self._reader}")
            ours = {(self.schema(of_home), name) for of_home, name, _ in before.contents}
            if closed := sorted(each for each in ours if self._reader not in before.readers.get(each, [self._reader])):
                made.append(f"grant select on {_listed(closed)} to {self._reader}")
        await self.connection.execute("; ".join(made))

    @property
    def _reader(self) -> str:
        return f"{self.place.schema}_reader"

    async def _fill(self, plan: Plan, about: Sequence[TargetTable], before: Before) -> None:
        """Load what changed into the draft."""
        whole = [*plan.replaced, *about]
        parts = [part for table in whole for part in table.parts] + [part for _, part in plan.parts]
        self.encoded = _Encoded(parts)
        try:
            await self.connection.execute("; ".join(self._creations(plan, about)))
            for table in whole:
                await self._load(table, before)
            for table, part in plan.parts:
                await self._load_part(table, part)
        finally:
            self.encoded.stop()

    def _creations(self, plan: Plan, about: Sequence[TargetTable]) -> list[str]:
        """Statements that make the tables of the draft, without rows."""
        made = []
        for table in (*plan.replaced, *about):
            made.append(table.create(self.draft(table.schema)))
            made += [
                f"create table {self.draft(PARTS)}.{quoted(part_name(table.name, part.key))} "
                f"partition of {self.draft(table.schema)}.{quoted(table.name)} {_bounds(part.key)}"
                for part in table.parts
                if part.key
            ]
        return made + [
            replace(table, name=part_name(table.name, part.key), is_by_year=False).create(self.draft(PARTS))
            for table, part in plan.parts
        ]

    async def _load(self, table: TargetTable, before: Before) -> None:
        """Fill a table of the draft, and give it all that it has."""
        draft = self.draft(table.schema)
        for part in table.parts:
            if part.key:
                await self._copy(self.draft(PARTS), part_name(table.name, part.key), part)
            else:
                await self._copy(draft, table.name, part)
        readers = {
            *before.readers.get((self.schema(table.schema), table.name), ()),
            *([self._reader] if before.has_reader else ()),
        }
        grants = f"; grant select on {draft}.{quoted(table.name)} to {', '.join(sorted(readers))}" if readers else ""
        await self.connection.execute(table.finish(draft) + grants)

    async def _load_part(self, table: TargetTable, part: Part) -> None:
        """Fill one year of a table that stays, so that it can be attached without being read again."""
        draft, name = self.draft(PARTS), part_name(table.name, part.key)
        await self._copy(draft, name, part)
        first, end = _span(part.key)
        check = (
            f"alter table {draft}.{quoted(name)} add constraint {OF_YEAR} check ({DAY} >= {first} and {DAY} < {end})"
        )
        await self.connection.execute("; ".join([*table.keys(draft, name), check]))

    async def _copy(self, schema: str, name: str, part: Part) -> None:
        """Send the rows of a part, which is the next of those that are being encoded."""
        sent, encoded = 0, self.encoded
        assert encoded is not None

        async def pieces() -> AsyncIterator[bytes]:
            nonlocal sent
            async for piece in encoded.next_part(part):
                sent += len(piece)
                yield piece

        await self.connection.copy_to_table(
            name, schema_name=schema, source=pieces(), format="csv", freeze=True, timeout=COPY_TIMEOUT_SECONDS
        )
        self.loaded_count += 1
        self.loaded_bytes += sent

    async def _lock(self, plan: Plan, about: Sequence[TargetTable], before: Before) -> None:
        """Lock what is replaced, once no reader has it; in short attempts, as readers that come wait behind each."""
        going = [(self.schema(table.schema), table.name) for table in (*plan.replaced, *about)]
        going += [(self.schema(of_home), name) for of_home, name in plan.dropped]
        for table, key in (*((table, part.key) for table, part in plan.parts), *plan.dropped_parts):
            going += [(self.schema(table.schema), table.name), (self.schema(PARTS), part_name(table.name, key))]
        # First what a transaction should read first: whoever begins with it then waits, and holds nothing else.
        first = (self.schema("meta"), "publication")
        listed = sorted({each for each in going if each in before.readers}, key=lambda each: (each != first, each))
        if not listed:
            return
        longest_ms = await self._longest_wait_ms()
        for wait_ms, pause_seconds in zip_longest(LOCK_WAITS_MS, LOCK_PAUSES_SECONDS):
            try:
                async with self.connection.transaction():
                    await self.connection.execute(f"set local statement_timeout = {min(wait_ms, longest_ms)}")
                    await self.connection.execute(f"lock table {_listed(listed, 'only ')} in access exclusive mode")
                    await self.connection.execute("set local statement_timeout = 0")
                return
            except (asyncpg.QueryCanceledError, asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError):
                await asyncio.sleep((pause_seconds or 0) * self.time_scale)
        holders = await self.connection.fetch(statement("postgresql_holders"), list(self.schemas.values()))
        named = ", ".join(f"{user} with {program}, pid {pid}" for pid, user, program in holders) or "they are over now"
        raise TransientError(
            f"target {self.place.address}: found readers that have the version before ({named}), expected them to end; "
            "it stays, the next run publishes there again; end what is left open with pg_terminate_backend(pid)"
        )

    async def _longest_wait_ms(self) -> int:
        (deadlock_ms,) = await self.connection.fetchrow(
            "select setting::integer from pg_settings where name = 'deadlock_timeout'"
        )
        return max(1, int(deadlock_ms * PART_OF_DEADLOCK_TIMEOUT))

    async def _switch(self, plan: Plan, about: Sequence[TargetTable], before: Before) -> None:
        """Let the draft take the place of what it replaces; under the locks, so that it is quick."""
        replaced, parts = [*plan.replaced, *about], self.schema(PARTS)
        gone = [(self.schema(of_home), name) for of_home, name in plan.dropped]
        gone += [(parts, part_name(table.name, key)) for table, key in plan.dropped_parts]
        gone += [(parts, part_name(table.name, part.key)) for table, part in plan.parts]
        gone += [(self.schema(table.schema), table.name) for table in replaced]
        kept = await self._drop([each for each in gone if each in before.readers])
        if needed := sorted(kept.keys() - {(self.schema(table.schema), table.name) for table in replaced}):
            raise self._needed_by_others(".".join(needed[0]), kept[needed[0]])
        statements = []
        for table in replaced:
            schema, draft = self.schema(table.schema), self.draft(table.schema)
            if (detail := kept.get((schema, table.name))) is not None:
                await self._refill(table, detail)
                continue
            statements.append(f"alter table {draft}.{quoted(table.name)} set schema {schema}")
            statements += [
                f"alter table {self.draft(PARTS)}.{quoted(part_name(table.name, part.key))} set schema {parts}"
                for part in table.parts
                if part.key
            ]
        for table, part in plan.parts:
            name = quoted(part_name(table.name, part.key))
            statements += [
                f"alter table {self.draft(PARTS)}.{name} set schema {parts}",
                f"alter table {self.schema(table.schema)}.{quoted(table.name)} "
                f"attach partition {parts}.{name} {_bounds(part.key)}",
                f"alter table {parts}.{name} drop constraint {OF_YEAR}",
            ]
        statements.append(f"drop schema {', '.join(self.draft(of_home) for of_home in self.schemas)}")
        await self.connection.execute("; ".join(statements))

    async def _drop(self, tables: Sequence[tuple[str, str]]) -> dict[tuple[str, str], str]:
        """Drop tables; of those that something of others rests on, which stay, what PostgreSQL states of it."""
        if not tables:
            return {}
        try:
            async with self.connection.transaction():
                await self.connection.execute(f"drop table {_listed(tables)}")
            return {}
        except asyncpg.DependentObjectsStillExistError as error:
            if len(tables) == 1:
                return {tables[0]: str(error.detail)}
        half = len(tables) // 2
        return {**await self._drop(tables[:half]), **await self._drop(tables[half:])}

    async def _refill(self, table: TargetTable, dependents: str) -> None:
        """Give a table that views of others read its new rows, so that they go on; slower than to replace it.

        As after any TRUNCATE, a snapshot from before that has read nothing of the table finds it empty.
        """
        schema, draft, name = self.schema(table.schema), self.draft(table.schema), quoted(table.name)
        columns = await self.connection.fetch(statement("postgresql_shape"), [schema, draft], table.name)
        try:
            if table.is_by_year or len(set(columns)) != 1:
                raise asyncpg.DependentObjectsStillExistError
            async with self.connection.transaction():
                await self.connection.execute(
                    f"truncate {schema}.{name}; insert into {schema}.{name} select * from {draft}.{name}; "
                    + "; ".join([f"drop table {draft}.{name}", *table.comments(schema)])
                )
        except (asyncpg.DependentObjectsStillExistError, asyncpg.FeatureNotSupportedError) as error:
            raise self._needed_by_others(f"{schema}.{table.name}", dependents) from error

    def _needed_by_others(self, table: str, dependents: str) -> WarehouseError:
        return WarehouseError(
            f"target {self.place.address}: found {one_line(dependents)!r}, expected nothing of others that needs "
            f"{table} with the columns it had; drop that, publish, and make it anew where they are"
        )


class _Encoded:
    """Parts one after the other as COPY takes them, some pieces ahead of what is sent."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self._pieces = ((part, piece) for part in parts for piece in chain(part.pieces(), [None]))
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="encode")
        self._ahead = deque(self._executor.submit(next, self._pieces, None) for _ in range(PIECES_AHEAD))

    async def next_part(self, expected: Part) -> AsyncIterator[bytes]:
        """The pieces of the next part, which must be that one."""
        while (found := await asyncio.wrap_future(self._ahead.popleft())) is not None:
            self._ahead.append(self._executor.submit(next, self._pieces, None))
            part, piece = found
            if part is not expected:
                raise RuntimeError("parts are loaded in another order than they are encoded")
            if piece is None:
                return
            yield piece

    def stop(self) -> None:
        """Encode no more."""
        self._executor.shutdown(wait=True, cancel_futures=True)


def _span(year: str) -> tuple[str, str]:
    """The first day of a year and that of the next, as SQL."""
    return text(f"{int(year):04d}-01-01"), text(f"{int(year) + 1:04d}-01-01")


def _bounds(year: str) -> str:
    first, end = _span(year)
    return f"for values from ({first}) to ({end})"


def _listed(tables: Sequence[tuple[str, str]], before_each: str = "") -> str:
    return ", ".join(f"{before_each}{schema}.{quoted(name)}" for schema, name in tables)
