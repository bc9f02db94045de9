"""A publication to PostgreSQL against a plain COPY of the same Parquet files, and what a next-day run moves.

Run as `python -m benchmarks.postgresql [--quick] [--json]`; exits with 1 where a target is missed.
"""

import argparse
import asyncio
import io
import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, process_time
from typing import Any, Final

import polars as pl

from benchmarks.measure import FailedError, Spread, pin, run
from benchmarks.ours import recompute
from tests.postgres_server import PASSWORDS, PUBLISHER, PostgresServer, postgres_server
from warehouse.targets.finished import FinishedVersion, finished_version
from warehouse.targets.postgresql import PostgresTarget
from warehouse.views import SCHEMA as VIEWS

ROUNDS: Final = 7
MOST_RATIO: Final = 1.3
WHOLE: Final = (930_000, "whole")
QUICK: Final = (20_000, "recent")
BLOCKS_OF_A_DAY: Final = 144
TYPES: Final = {
    pl.Boolean: "boolean",
    pl.Date: "date",
    pl.Datetime: "timestamp",
    pl.Float64: "double precision",
    pl.Int16: "smallint",
    pl.Int32: "integer",
    pl.Int64: "bigint",
    pl.String: "text",
}
"""Of the plain contender, which knows nothing of units."""


def published(home: Path, blocks: int, chain: str) -> FinishedVersion:
    """The version that is computed from so many blocks of the fixture."""
    run("benchmarks.fixture", home, blocks, chain, "flows")
    recompute(home, home)
    return finished_version(home / "published")


def files(version: FinishedVersion) -> dict[str, list[Path]]:
    """By name of a table, with its schema, the Parquet files that it is."""
    found: dict[str, list[Path]] = {}
    for file in version.files:
        kind, _, below = file.path.partition("/")
        if kind in ("parquet", "meta") and below.endswith(".parquet"):
            name = f"{'main' if kind == 'parquet' else kind}.{below.removesuffix('.parquet').partition('/')[0]}"
            found.setdefault(name, []).append(version.folder / file.path)
    return found


async def _plain(server: PostgresServer, tables: dict[str, list[Path]], schema: str) -> None:
    """Every file by COPY into a table without key, index and comment, in one transaction."""
    connection = await server.connect(PUBLISHER)
    try:
        async with connection.transaction():
            await connection.execute(f"create schema {schema}")
            for name, paths in tables.items():
                table = name.replace(".", "_")
                columns = ", ".join(
                    f'"{column}" {TYPES[kind.base_type()]}' for column, kind in pl.read_parquet_schema(paths[0]).items()
                )
                await connection.execute(f'create table {schema}."{table}" ({columns})')
                for path in paths:
                    written = io.BytesIO()
                    pl.read_parquet(path).write_csv(written, include_header=False)
                    written.seek(0)
                    await connection.copy_to_table(table, schema_name=schema, source=written, format="csv", freeze=True)
    finally:
        await connection.close()


def plain(server: PostgresServer, version: FinishedVersion, schema: str) -> None:
    """What one would write without a target."""
    asyncio.run(_plain(server, files(version), schema))


@dataclass(frozen=True)
class Took:
    """Seconds by the clock, and of processors: those of this process and of the server's that have ended since."""

    wall_s: float
    processor_s: float


def timed(work: Callable[[], object], server: PostgresServer) -> Took:
    """What it takes."""
    began, used = perf_counter(), process_time() + server.processor_seconds()
    work()
    ended = perf_counter()
    server.wait_until_alone(PUBLISHER)
    return Took(ended - began, process_time() + server.processor_seconds() - used)


def compare(server: PostgresServer, version: FinishedVersion, schema: str) -> int:
    """Compare rows and NULLs of every table with its Parquet files; how many cells. Raises `FailedError`."""
    cells = 0
    for name, paths in files(version).items():
        of_home, _, table = name.partition(".")
        there = schema if of_home == "main" else f"{schema}_{of_home}"
        rows = server.query(f'select * from {there}."{table}"')
        expected = pl.concat([pl.read_parquet(path) for path in paths])
        expected = expected.with_columns(pl.col(pl.Datetime).dt.replace_time_zone("UTC"))
        found = pl.DataFrame(rows, schema=list(expected.schema), orient="row", infer_schema_length=None)
        found = found.cast(dict(expected.schema))
        if not found.equals(expected):
            raise FailedError(f"{name}: rows in PostgreSQL are not those of its files")
        cells += expected.height * expected.width
    return cells


def measured(folder: Path, server: PostgresServer, blocks: int, chain: str, rounds: int) -> dict[str, Any]:
    """All figures, after a check that the tables are equal."""
    os.environ["PGPASSWORD"] = PASSWORDS[PUBLISHER]
    version = published(folder / "day", blocks, chain)
    target = PostgresTarget(address=server.address("ours"))
    first = target.publish(version)
    compared = compare(server, version, "ours")
    times: dict[str, list[Took]] = {"ours": [], "plain COPY": []}
    for number in range(rounds + 1):
        fresh = PostgresTarget(address=server.address(f"round{number}"))
        ours = timed(lambda fresh=fresh: fresh.publish(version), server)
        bare = timed(lambda number=number: plain(server, version, f"plain{number}"), server)
        for name in (
            f"round{number}",
            f"round{number}_meta",
            f"round{number}_{VIEWS}",
            f"round{number}_parts",
            f"plain{number}",
        ):
            server.query(f"drop schema {name} cascade;")
        if number:  # the first warms up
            times["ours"].append(ours)
            times["plain COPY"].append(bare)
    next_day = published(folder / "next-day", blocks + BLOCKS_OF_A_DAY, chain)
    began = perf_counter()
    second = target.publish(next_day)
    second_s = perf_counter() - began
    compare(server, next_day, "ours")
    again = timed(lambda: target.publish(next_day), server)
    spreads = {name: Spread.of([each.wall_s for each in values]) for name, values in times.items()}
    used = {name: Spread.of([each.processor_s for each in values]) for name, values in times.items()}
    return {
        "equal": True,
        "cells compared": compared,
        "tables and partitions": first.uploaded_count,
        **{f"{name}, s": f"{each.median:.2f} ({each.least:.2f}-{each.greatest:.2f})" for name, each in spreads.items()},
        "ours to plain COPY": round(spreads["ours"].median / spreads["plain COPY"].median, 2),
        "least to least": round(spreads["ours"].least / spreads["plain COPY"].least, 2),
        **{
            f"{name}, processor, s": f"{each.median:.2f} ({each.least:.2f}-{each.greatest:.2f})"
            for name, each in used.items()
        },
        "sent, all, bytes": first.uploaded_bytes,
        "sent, next day, bytes": second.uploaded_bytes,
        "loaded, next day": second.uploaded_count,
        "left where they are, next day": second.reused_count,
        "next day, s": round(second_s, 2),
        "nothing new, s": round(again.wall_s, 3),
        "load": round(os.getloadavg()[0], 1),
    }


def main() -> int:
    """Measure and report; exits with 1 where a target is missed or rows differ."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.postgresql", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one round: whether it runs and agrees")
    parser.add_argument("--json", action="store_true", help="print JSON for a program to read")
    given = parser.parse_args()
    pin()
    with TemporaryDirectory(prefix="hashpivot-bench-") as folder, postgres_server() as server:
        try:
            figures = measured(Path(folder), server, *(QUICK if given.quick else WHOLE), 1 if given.quick else ROUNDS)
        except FailedError as error:
            print(error, file=sys.stderr)
            return 1
    print(json.dumps(figures, indent=2) if given.json else "\n".join(f"{k}: {v}" for k, v in figures.items()))
    return 0 if given.quick or figures["ours to plain COPY"] <= MOST_RATIO else 1


if __name__ == "__main__":
    sys.exit(main())
