"""What tests of hosted sources share: the replay server in the environment of a test, and what a source says to it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import polars as pl
import pytest

from flows.settings import Settings
from flows.sources.choose import source_named
from flows.sources.protocol import Request
from schemas.observations import Batch, Notice, ObservedTable
from tests.replay import ReplayServer, ReplaySite


@contextmanager
def replayed(
    monkeypatch: pytest.MonkeyPatch, sites: Sequence[ReplaySite], *, time_scale: float
) -> Iterator[ReplayServer]:
    """The server, with the settings that lead to it; at the end no rule may be broken."""
    with ReplayServer(sites, time_scale=time_scale) as server:
        for variable, value in server.settings().items():
            monkeypatch.setenv(variable, value)
        yield server
        server.check()


def values_and_flows(name: str, home: Path, request: Request) -> tuple[pl.DataFrame, pl.DataFrame, list[str]]:
    """Daily values, exchange flows and notices of the source called `name`."""
    items = list(source_named(name, Settings(home=home)).observe(request))
    by_table = {
        table: [item.rows for item in items if isinstance(item, Batch) and item.table is table]
        for table in (ObservedTable.DAILY_VALUE, ObservedTable.EXCHANGE_FLOW)
    }
    values, flows = (pl.concat(frames) if frames else pl.DataFrame() for frames in by_table.values())
    return values, flows, [item.message for item in items if isinstance(item, Notice)]
