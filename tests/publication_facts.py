"""What holds in every publication, read from the published file alone: sums, and the reasons of its NULLs."""

from pathlib import Path

import duckdb
import polars as pl

TOLERANCE = 1e-9


def rows_that_sum_others(rows: pl.DataFrame, key: list[str], amounts: list[str]) -> list[tuple[str, object]]:
    """Names in `key`, each with its column, whose `amounts` are the sums of all others wherever the name stands.

    A name needs at least two others beside it, and amounts that are not all 0.
    """
    found = []
    for axis in key:
        rest = [name for name in key if name != axis]
        over = rest or [pl.lit(1)]
        is_sum = [
            2 * pl.col(name) - pl.col(name).sum().over(over) <= TOLERANCE * pl.col(name).sum().over(over)
            for name in amounts
        ] + [
            pl.col(name).sum().over(over) - 2 * pl.col(name) <= TOLERANCE * pl.col(name).sum().over(over)
            for name in amounts
        ]
        judged = rows.with_columns(
            pl.all_horizontal(is_sum).fill_null(False).alias("is_sum"),
            (pl.len().over(over) > 2).alias("has_others"),
            pl.any_horizontal(pl.col(amounts).fill_null(0) != 0).alias("has_amount"),
        ).filter("has_others")
        sums = judged.group_by(axis).agg(pl.col("is_sum").all(), pl.col("has_amount").any())
        found += [(axis, name) for name in sums.filter("is_sum", "has_amount")[axis].sort()]
    return found


def double_counted(database: Path) -> dict[str, list[tuple[str, object]]]:
    """By published table with amounts that may be added up, the names of its key that stand for a sum of others."""
    found = {}
    with duckdb.connect(str(database), read_only=True) as connection:
        keys = dict(
            connection.execute("select table_name, key_columns from meta.tables where row_count > 0").fetchall()
        )
        for table, key_columns in keys.items():
            key = key_columns.split(", ")
            rows = pl.DataFrame(connection.sql(f"from {table}"))
            for aggregation, axes in (("sum", key), ("sum of a day", [name for name in key if name != "day"])):
                amounts = _columns(connection, table, aggregation)
                if amounts and (sums := _of(rows, key, axes, amounts)):
                    found[table] = sums
    return found


def _of(rows: pl.DataFrame, key: list[str], axes: list[str], amounts: list[str]) -> list[tuple[str, object]]:
    return [(axis, name) for axis, name in rows_that_sum_others(rows, key, amounts) if axis in axes]


def _columns(connection: duckdb.DuckDBPyConnection, table: str, aggregation: str) -> list[str]:
    sql = "select column_name from meta.columns where table_name = ? and aggregation = ?"
    return [name for (name,) in connection.execute(sql, [table, aggregation]).fetchall()]


def sums_that_differ(database: Path) -> list[tuple[str, list[str]]]:
    """Amounts that several tables have by day and whose sums by day differ between them."""
    by_column: dict[str, list[str]] = {}
    found = []
    with duckdb.connect(str(database), read_only=True) as connection:
        sql = (
            "select column_name, table_name from meta.columns join meta.tables using (table_name) "
            "where aggregation = 'sum' and row_count > 0 and 'day' in string_split(key_columns, ', ') order by all"
        )
        for column, table in connection.execute(sql).fetchall():
            by_column.setdefault(column, []).append(table)
        for column, tables in by_column.items():
            sums = [
                pl.DataFrame(connection.sql(f"select day, sum({column}) as {table} from {table} group by day"))
                for table in tables
            ]
            joined = sums[0]
            for each in sums[1:]:
                joined = joined.join(each, on="day", how="inner")
            amounts = joined.drop("day").drop_nulls()
            if amounts.is_empty():
                continue
            spread = amounts.select(pl.max_horizontal(pl.all()) - pl.min_horizontal(pl.all())).to_series()
            if (spread > TOLERANCE * amounts.max_horizontal().abs() + 1e-8).any():
                found.append((column, tables))
    return found


def nulls_without_reason(database: Path) -> list[tuple[str, str, int, int]]:
    """Columns whose NULLs are not as many as `meta.nulls` explains: table, column, NULLs, of these explained."""
    with duckdb.connect(str(database), read_only=True) as connection:
        sql = "select table_name, column_name, sum(row_count)::bigint from meta.nulls group by all"
        explained = {(table, column): count for table, column, count in connection.execute(sql).fetchall()}
        columns: dict[str, list[str]] = {}
        for table, column in connection.execute("select table_name, column_name from meta.columns").fetchall():
            columns.setdefault(table, []).append(column)
        found = []
        for table, names in columns.items():
            counts = ", ".join(f"count(*) - count({name})" for name in names)
            nulls = connection.execute(f"select {counts} from {table}").fetchone() or ()
            found += [
                (table, name, count, explained.get((table, name), 0))
                for name, count in zip(names, nulls, strict=True)
                if count != explained.get((table, name), 0)
            ]
    return found
