"""Frames that statements read: rows arrive, and the memory of a frame is free before the transaction ends."""

import gc
from weakref import ref

import duckdb
import polars as pl

from warehouse.statements import registered


def test_rows_of_a_frame_are_let_go_of_within_the_transaction() -> None:
    with duckdb.connect() as connection:
        connection.begin()
        connection.execute("create table kept (height bigint)")
        frames = []
        for height in range(3):
            rows = pl.DataFrame({"height": [height]})
            frames.append(ref(rows))
            with registered(connection, "rows", rows):
                connection.execute("insert into kept select * from rows")
            del rows
        gc.collect()
        assert [frame() for frame in frames] == [None, None, None]
        connection.commit()
        assert connection.execute("select height from kept order by height").fetchall() == [(0,), (1,), (2,)]
