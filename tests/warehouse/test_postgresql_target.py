"""A PostgreSQL database shows a version of the home whole or not at all, and keeps what did not change; for real."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import asyncpg
import duckdb
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from schemas.errors import HashpivotError, TransientError, WarehouseError
from schemas.table import Table
from schemas.units import Unit
from tests.invocation import eventually
from tests.postgres_server import PUBLISHER, READER, PostgresServer, postgres_server
from tests.warehouse.postgresql_versions import YEARS, version, whole_version
from tests.warehouse.transfer_rows import TRANSFER, transfers, with_transfers
from tests.warehouse.warehouse_rows import _column, publication
from warehouse.publish import publish
from warehouse.targets.files import DATABASE_NAME, FileTarget
from warehouse.targets.finished import Copied, FinishedVersion, Shown, finished_version
from warehouse.targets.postgresql import PostgresTarget
from warehouse.views import SCHEMA as VIEWS

TIME_SCALE = 0.02
TYPES = {
    "BIGINT": "bigint",
    "BOOLEAN": "boolean",
    "DATE": "date",
    "DOUBLE": "double precision",
    "INTEGER": "integer",
    "SMALLINT": "smallint",
    "TIMESTAMP": "timestamp with time zone",
    "VARCHAR": "text",
}


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with postgres_server() as running:
        yield running


@pytest.fixture
def schema(server: PostgresServer, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of schemas that are not there yet; the environment holds the password of who publishes."""
    for name, value in server.environment().items():
        monkeypatch.setenv(name, value)
    return f"s{abs(hash(request.node.nodeid)):x}"


def target(server: PostgresServer, schema: str, user: str = PUBLISHER) -> PostgresTarget:
    return PostgresTarget(address=server.address(schema, user), time_scale=TIME_SCALE)


def oids(server: PostgresServer, schema: str) -> dict[str, int]:
    rows = server.query(
        "select nspname::text || '.' || relname, pg_class.oid::bigint from pg_class join pg_namespace on "
        "pg_namespace.oid = relnamespace where nspname = any($1) and relkind in ('r', 'p')",
        [f"{schema}{end}" for end in ("", "_meta", f"_{VIEWS}", "_parts")],
    )
    return {name.removeprefix(schema): oid for name, oid in rows}


def same_table(server: PostgresServer, found: FinishedVersion, schema: str, of_home: str, name: str) -> None:
    """Compare types, NULLs, values and order of a table over DuckDB, Parquet and PostgreSQL."""
    there = schema if of_home == "main" else f"{schema}_{of_home}"
    with duckdb.connect(str(found.folder / DATABASE_NAME), read_only=True) as publication:
        kinds = dict(
            publication.execute(
                "select column_name, data_type from duckdb_columns() where schema_name = ? and table_name = ? "
                "order by column_index",
                [of_home, name],
            ).fetchall()
        )
        in_duckdb = publication.sql(f"from {of_home}.{name} order by all").pl()
    types = server.query(
        "select column_name::text, data_type::text from information_schema.columns "
        "where table_schema = $1 and table_name = $2 order by ordinal_position",
        there,
        name,
    )
    expected = {column: "numeric" if column.endswith("_sat") else TYPES[kind] for column, kind in kinds.items()}
    expected |= {
        column: "numeric" for column in expected if column.endswith("_btc") and f"{column[:-4]}_sat" in expected
    }
    assert dict(types) == expected, name
    rows = server.query(f"select * from {there}.{name}", user=READER)
    plain = in_duckdb.with_columns(pl.col(pl.Datetime).dt.replace_time_zone("UTC"))
    cells = [[float(cell) if isinstance(cell, Decimal) else cell for cell in row] for row in rows]
    in_postgres = pl.DataFrame(cells, schema=plain.schema, orient="row")
    order = plain.columns
    assert_frame_equal(in_postgres.sort(order), plain.sort(order), check_exact=True)
    files = {"main": found.folder / "parquet" / name, "meta": found.folder / "meta" / name}
    if path := files.get(of_home):
        parquet = pl.read_parquet(path if path.is_dir() else path.with_suffix(".parquet"))
        parquet = parquet.with_columns(pl.col(pl.Datetime).dt.replace_time_zone("UTC"))
        assert_frame_equal(in_postgres.sort(order), parquet.sort(order), check_exact=True)
        # As they were loaded: in the order of the key.
        assert_frame_equal(in_postgres, parquet, check_exact=True)


def test_every_table_is_the_same_over_duckdb_parquet_and_postgresql(
    server: PostgresServer, schema: str, published_demo: Path
) -> None:
    found = finished_version(published_demo)
    server.query(f"create role {schema}_reader; grant {schema}_reader to {READER};")
    copied = target(server, schema).publish(found)
    with duckdb.connect(str(found.folder / DATABASE_NAME), read_only=True) as publication:
        tables = publication.execute(
            "select distinct schema_name, table_name from duckdb_columns() where not internal order by all"
        ).fetchall()
        comments = publication.execute(
            "select schema_name, table_name, column_name, comment from duckdb_columns() "
            "where comment is not null and not internal"
        ).fetchall()
        keys = dict(publication.execute("select table_name, key_columns from meta.tables").fetchall())
    assert len(tables) > 60
    for of_home, name in tables:
        same_table(server, found, schema, of_home, name)
    # Two more state what is there.
    assert {name for name in oids(server, schema) if not name.startswith("_parts")} == {
        *(f"{'' if of_home == 'main' else '_' + of_home}.{name}" for of_home, name in tables),
        *("_meta.publication", "_meta.contents"),
    }
    assert copied.uploaded_count == len(oids(server, schema)) - 1

    stated = server.query(
        "select nspname::text, relname::text, attname::text, col_description(attrelid, attnum) from pg_attribute "
        "join pg_class on pg_class.oid = attrelid join pg_namespace on pg_namespace.oid = relnamespace "
        "where attnum > 0 and relkind in ('r', 'p') and nspname = any($1)",
        [schema, f"{schema}_meta", f"{schema}_{VIEWS}"],
    )
    there = {(of, name, column): comment for of, name, column, comment in stated}
    assert len(comments) > 800
    for of_home, name, column, comment in comments:
        assert there[schema if of_home == "main" else f"{schema}_{of_home}", name, column] == comment
    unique = server.query(
        "select relname::text, indisprimary, pg_get_indexdef(indexrelid) from pg_index join pg_class on "
        "pg_class.oid = indrelid where indisunique and relnamespace = $1::regnamespace",
        schema,
    )
    found_keys = {name: text.rpartition("(")[2].rstrip(")") for name, _, text in unique}
    assert found_keys == {name: key for name, key in keys.items() if key}
    # In these a part of the key may be NULL, which no primary key can be.
    assert {name for name, is_primary, _ in unique if not is_primary} == {"capex_guidance", "credit_support"}


def test_next_version_loads_what_changed_and_leaves_the_rest_where_it_is(
    server: PostgresServer, schema: str, tmp_path: Path
) -> None:
    first = target(server, schema).publish(version(tmp_path, 1))
    before = oids(server, schema)
    second = target(server, schema).publish(version(tmp_path, 2))
    after = oids(server, schema)
    assert whole_version(server, schema) == "v2"
    same = {name for name in after if before.get(name) == after[name]}
    assert {".transfer", "_parts.transfer_2022", "_parts.transfer_2023"} <= same
    assert not same & {".price_daily", ".deal", "_parts.transfer_2024", "_meta.publication"}
    assert second.pruned == ("v1",)
    assert second.reused_count >= 3
    assert second.uploaded_bytes < first.uploaded_bytes
    # Partitions that were attached have the key of their table.
    with pytest.raises(asyncpg.UniqueViolationError):
        server.query(f"insert into {schema}.transfer select * from {schema}.transfer where day >= '2024-01-01'")
    # A year that ended, and one that is gone.
    years = {2022: 40, 2024: 60, 2025: 5}
    target(server, schema).publish(version(tmp_path, 3, years=years))
    found = server.query(
        f"select extract(year from day)::integer, count(*) from {schema}.transfer group by 1 order by 1"
    )
    assert dict(found) == years
    assert "_parts.transfer_2023" not in oids(server, schema)


def test_satoshi_are_exact_numbers(server: PostgresServer, schema: str, tmp_path: Path) -> None:
    given = with_transfers("v1", transfers(YEARS))
    amounts = [2_100_000_000_000_000, 1, 1_000_000_000_000_001, 0, 7]
    rows = transfers({2024: 5}).with_columns(
        pl.Series("transfer_sat", amounts), (pl.Series("transfer_sat", amounts) / 1e8).alias("transfer_btc")
    )
    metrics = (*TRANSFER.metrics, _column("transfer_btc", Unit.BTC))
    table = Table(name="transfer", description="Transfers.", key=TRANSFER.key, metrics=metrics)
    given = with_transfers("v1", rows, table)
    about = {**given.about, "day": "2024-06-01", "family": "simulated"}
    publish(replace(given, about=about), [FileTarget(folder=tmp_path, keep=2)])
    target(server, schema).publish(finished_version(tmp_path))
    found = server.query(f"select transfer_sat / 100000000, transfer_btc from {schema}.transfer order by txid")
    assert [in_sat for in_sat, _ in found] == [in_btc for _, in_btc in found]
    assert found[0][0] == Decimal(21_000_000)
    assert found[1][1] == Decimal("0.00000001")
    assert found[2][1] == Decimal("10000000.00000001")


def test_version_that_is_shown_is_not_loaded_again(server: PostgresServer, schema: str, tmp_path: Path) -> None:
    found = version(tmp_path, 1)
    assert target(server, schema).shown() is None
    target(server, schema).publish(found)
    before = oids(server, schema)
    assert target(server, schema).publish(found) == Copied(version="v1", is_new=False, kind="tables")
    assert oids(server, schema) == before
    assert target(server, schema).shown() == Shown(version="v1", day="2024-06-01")


def test_table_that_somebody_dropped_is_loaded_again(server: PostgresServer, schema: str, tmp_path: Path) -> None:
    target(server, schema).publish(version(tmp_path, 1))
    server.query(f"drop table {schema}.transfer, {schema}.deal; create table {schema}.notes (n integer);")
    target(server, schema).publish(version(tmp_path, 2))
    assert whole_version(server, schema) == "v2"
    assert ".notes" in oids(server, schema)
    # The same version again, of which one is missing.
    server.query(f"drop table {schema}.deal")
    assert target(server, schema).publish(finished_version(tmp_path)).uploaded_count == 3
    assert whole_version(server, schema) == "v2"


READERS = {
    "statements of a transaction": ("read committed", False),
    "snapshot": ("repeatable read", False),
    "one statement": ("read committed", True),
}


async def _read(connection: asyncpg.Connection, schema: str, isolation: str, at_once: bool) -> tuple[Any, ...]:
    async with connection.transaction(isolation=isolation.replace(" ", "_")):
        tables = {
            "publication": f"(select max(version) from {schema}_meta.publication)",
            "price": f"(select string_agg(distinct version, ',') from {schema}.price_daily)",
            "transfer": f"(select 'v' || max(transfer_sat) - 100 from {schema}.transfer)",
            "deal": f"(select string_agg(distinct version, ',') from {schema}.deal)",
        }
        if at_once:
            return tuple(await connection.fetchrow(f"select {', '.join(tables.values())}"))
        return tuple([await connection.fetchval(f"select {each}") for each in tables.values()])


def publish_under_readers(server: PostgresServer, schema: str, folder: Path, count: int) -> int:
    """Publish so often while readers of each kind read all the time; how often they did."""
    versions = [version(folder / str(number), number) for number in range(4)]
    target(server, schema).publish(versions[0])
    over, seen = threading.Event(), []

    async def reading(isolation: str, at_once: bool) -> None:
        connection = await server.connect()
        try:
            while not over.is_set():
                seen.append(await _read(connection, schema, isolation, at_once))
        finally:
            await connection.close()

    with ThreadPoolExecutor(len(READERS)) as executor:
        readers = [executor.submit(lambda kind=kind: asyncio.run(reading(*kind))) for kind in READERS.values()]
        try:
            for number in range(1, count + 1):
                assert target(server, schema).publish(versions[number % len(versions)]).is_new
        finally:
            over.set()
        for reader in readers:
            reader.result()
    mixed = {row for row in seen if len(set(row)) != 1}
    assert mixed == set()
    assert len({row[0] for row in seen}) == len(versions)
    return len(seen)


def test_readers_of_any_kind_see_one_whole_version(server: PostgresServer, schema: str, tmp_path: Path) -> None:
    assert publish_under_readers(server, schema, tmp_path, 6) > 20


@pytest.mark.long
def test_readers_see_one_whole_version_in_a_hundred_publications(
    server: PostgresServer, schema: str, tmp_path: Path
) -> None:
    assert publish_under_readers(server, schema, tmp_path, 100) > 500


@contextmanager
def open_transaction(server: PostgresServer, statement: str, isolation: str = "read_committed") -> Iterator[Any]:
    """A reader in a thread of its own: a callable that runs one more statement in its transaction."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    def there(work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, loop).result(60)

    connection = there(server.connect(READER))
    transaction = connection.transaction(isolation=isolation)
    there(transaction.start())
    try:
        there(connection.fetch(statement))
        yield lambda query: there(connection.fetchval(query))
        there(transaction.rollback())
    finally:
        there(connection.close())
        loop.call_soon_threadsafe(loop.stop)
        thread.join(30)
        loop.close()


@pytest.fixture
def readable(server: PostgresServer, schema: str) -> str:
    """The same, with a role that may read what is there."""
    server.query(f"create role {schema}_reader; grant {schema}_reader to {READER};")
    return schema


def test_reader_that_stays_keeps_its_version_and_is_named(
    server: PostgresServer, readable: str, tmp_path: Path
) -> None:
    target(server, readable).publish(version(tmp_path, 1))
    second = version(tmp_path, 2)
    with open_transaction(server, f"select version from {readable}.deal") as read:
        with pytest.raises(TransientError) as caught:
            target(server, readable).publish(second)
        line = str(caught.value)
        assert f"found readers that have the version before ({READER} with ?, pid " in line
        assert "\n" not in line
        assert read(f"select max(version) from {readable}.price_daily") == "v1"
        # Whoever comes meanwhile reads on.
        assert whole_version(server, readable) == "v1"
    assert target(server, readable).publish(second).is_new
    assert whole_version(server, readable) == "v2"


def test_publication_waits_for_a_reader_that_ends(server: PostgresServer, readable: str, tmp_path: Path) -> None:
    target(server, readable).publish(version(tmp_path, 1))
    second = version(tmp_path, 2)
    with ThreadPoolExecutor(1) as writer:
        with open_transaction(server, f"select version from {readable}.deal") as read:
            publishing = writer.submit(target(server, readable).publish, second)
            waits = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and usename = $1"
            eventually(lambda: server.query(waits, PUBLISHER) == [(1,)], "the publication does not wait")
            assert read(f"select max(version) from {readable}.deal") == "v1"
        assert publishing.result(60).is_new
    assert whole_version(server, readable) == "v2"


def test_snapshot_from_before_that_read_nothing_finds_the_new_version_whole(
    server: PostgresServer, readable: str, tmp_path: Path
) -> None:
    target(server, readable).publish(version(tmp_path, 1))
    with open_transaction(server, "select 1", "repeatable_read") as read:
        target(server, readable).publish(version(tmp_path, 2))
        assert read(f"select version from {readable}_meta.publication") == "v2"
        assert read(f"select count(*) from {readable}.deal where version = 'v2'") == 12
        assert read(f"select max(transfer_sat) from {readable}.transfer") == 102


def test_grants_survive(server: PostgresServer, schema: str, tmp_path: Path) -> None:
    target(server, schema).publish(version(tmp_path, 1))
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        server.query(f"select * from {schema}.deal", user=READER)
    server.query(f"grant usage on schema {schema} to {READER}; grant select on {schema}.deal to {READER};")
    for number in (2, 3):
        target(server, schema).publish(version(tmp_path, number))
        assert server.query(f"select max(version) from {schema}.deal", user=READER) == [(f"v{number}",)]
    # The role of readers, from the next version on, for all tables.
    server.query(f"create role {schema}_reader; grant {schema}_reader to {READER};")
    for number in (4, 5):
        target(server, schema).publish(version(tmp_path, number))
        for table in (f"{schema}.price_daily", f"{schema}_meta.publication"):
            assert server.query(f"select max(version) from {table}", user=READER) == [(f"v{number}",)]
    assert server.query(f"select count(*) from {schema}.transfer", user=READER) == [(sum(YEARS.values()),)]
    for statement in (f"delete from {schema}.deal", f"create table {schema}.own (n integer)"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            server.query(statement, user=READER)


def test_views_of_others_go_on_with_the_new_rows(server: PostgresServer, schema: str, tmp_path: Path) -> None:
    target(server, schema).publish(version(tmp_path, 1))
    server.query(
        f"create view public.{schema} as select version, sum(power_mw) from {schema}.deal group by 1; "
        f"create view public.{schema}_years as select max(transfer_sat) from {schema}.transfer;"
    )
    for number in (2, 3):
        target(server, schema).publish(version(tmp_path, number))
        assert server.query(f"select version from public.{schema}") == [(f"v{number}",)]
        assert server.query(f"select * from public.{schema}_years") == [(100 + number,)]
        assert whole_version(server, schema) == f"v{number}"
    server.query(f"alter table {schema}.deal add column note text;")
    error = failure(server, schema, version(tmp_path, 4))
    assert f"found 'view {schema} depends on table {schema}.deal', expected nothing of others" in str(error)
    assert server.query(f"select version from public.{schema}") == [("v3",)]


def test_table_that_is_no_more_and_that_a_view_needs_is_named(
    server: PostgresServer, schema: str, tmp_path: Path
) -> None:
    target(server, schema).publish(version(tmp_path, 1))
    server.query(f"create view public.{schema} as select max(transfer_sat) from {schema}.transfer")
    given = publication("v2", rows=5)
    about = {**given.about, "day": "2024-06-01", "family": "simulated"}
    publish(replace(given, about=about), [FileTarget(folder=tmp_path, keep=9)])
    error = failure(server, schema, finished_version(tmp_path))
    assert f"found 'view {schema} depends on table {schema}.transfer', expected nothing of others" in str(error)
    assert whole_version(server, schema) == "v1"
    server.query(f"drop view public.{schema}")
    target(server, schema).publish(finished_version(tmp_path))
    assert not any("transfer" in name for name in oids(server, schema))


def failure(server: PostgresServer, schema: str, found: FinishedVersion, at: PostgresTarget | None = None) -> Any:
    at = at or target(server, schema)
    with pytest.raises(HashpivotError) as caught:
        at.publish(found)
    line = str(caught.value)
    assert line.startswith(f"target {at.address}: found ")
    assert ", expected " in line
    assert "\n" not in line
    assert "secret-of" not in line
    return caught.value


def test_schema_of_somebody_else_keeps_its_place(server: PostgresServer, schema: str, tmp_path: Path) -> None:
    server.query(f"create schema {schema}_meta; create table {schema}_meta.own (n integer);")
    error = failure(server, schema, version(tmp_path, 1))
    assert f"found a schema {schema}_meta that hashpivot has not made" in str(error)
    assert oids(server, schema).keys() == {"_meta.own"}


def test_schemas_that_an_administrator_has_made_are_taken(server: PostgresServer, schema: str, tmp_path: Path) -> None:
    server.query(f"create schema {schema} authorization {PUBLISHER}; grant usage on schema {schema} to {READER};")
    for number in (1, 2):
        target(server, schema).publish(version(tmp_path, number))
    server.query(f"grant select on {schema}.deal to {READER}")
    assert server.query(f"select max(version) from {schema}.deal", user=READER) == [("v2",)]


def test_data_of_another_family_keeps_its_place(server: PostgresServer, schema: str, tmp_path: Path) -> None:
    target(server, schema).publish(version(tmp_path / "real", 1, family="main"))
    error = failure(server, schema, version(tmp_path / "demo", 2))
    assert "found data of 'main' there, expected 'simulated'" in str(error)
    assert whole_version(server, schema) == "v1"


def test_of_two_writers_at_once_one_publishes_and_the_other_tries_again(
    server: PostgresServer, schema: str, tmp_path: Path
) -> None:
    homes = [version(tmp_path / name, number) for name, number in (("one", 1), ("other", 2))]
    server.query("select 1")
    lock = "select pg_advisory_lock(hashtext('hashpivot'), hashtext($1))"

    async def hold() -> Any:
        connection = await server.connect()
        await connection.fetchval(lock, schema)
        try:
            return await asyncio.to_thread(failure, server, schema, homes[0])
        finally:
            await connection.close()

    error = asyncio.run(hold())
    assert isinstance(error, TransientError)
    assert "found another publication under way there" in str(error)
    with ThreadPoolExecutor(2) as writers:
        results = list(writers.map(lambda home: _attempt(server, schema, home), homes))
    assert any(isinstance(result, Copied) for result in results)
    assert all(isinstance(result, (Copied, TransientError)) for result in results)
    assert whole_version(server, schema) in ("v1", "v2")


def _attempt(server: PostgresServer, schema: str, found: FinishedVersion) -> Copied | HashpivotError:
    try:
        return target(server, schema).publish(found)
    except HashpivotError as error:
        return error


def test_file_that_was_changed_after_the_publication_is_not_loaded(
    server: PostgresServer, schema: str, tmp_path: Path
) -> None:
    found = version(tmp_path, 1)
    path = found.folder / "parquet" / "deal.parquet"
    path.chmod(0o600)
    path.write_bytes(b"?" + path.read_bytes()[1:])
    with pytest.raises(WarehouseError, match=r"deal\.parquet: found other bytes than its manifest states"):
        target(server, schema).publish(found)
    assert target(server, schema).shown() is None
