"""The same lake with its catalog in a real PostgreSQL, where one is installed."""

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from schemas.errors import TransientError
from tests.scheduled.serving import free_port
from tests.scheduled.test_postgresql import database
from tests.warehouse.lake_reader import PASSWORD, catalog_in, lake_of
from tests.warehouse.test_ducklake import assert_shows, failure, finished, steady, target, written
from warehouse.targets import ducklake

__all__ = ["database"]


def test_catalog_in_postgresql_keeps_the_history_and_lets_one_of_two_writers_publish(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = urlsplit(database)
    address = f"ducklake:postgres:{catalog_in(database, monkeypatch)}?data={tmp_path}/files"
    assert target(address).shown() is None
    first = finished(tmp_path / "both", steady("v0"))
    target(address).publish(first)
    slow, quick = finished(tmp_path / "slow", steady("v1", 31)), finished(tmp_path / "quick", steady("v2", 32))
    write_control_row = ducklake._write_control_row

    def cross(*arguments: Any) -> None:
        """Publish the other version while this one is written, as its last step."""
        monkeypatch.setattr(ducklake, "_write_control_row", write_control_row)
        assert written(target(address).publish(quick)) == (5, 1, ["deal", "price_daily"])
        write_control_row(*arguments)

    monkeypatch.setattr(ducklake, "_write_control_row", cross)
    line = str(failure(address, slow))
    assert "found version v2, which another writer has published meanwhile" in line
    assert_shows(address, quick)
    with lake_of(address) as lake:
        numbers = lake.execute("select snapshot_id from lake.snapshots() where author = 'hashpivot'").fetchall()
    assert len(numbers) == 2
    assert_shows(address, first, f"at (version => {min(numbers)[0]})")

    gone = failure(address.replace(f"port={server.port}", f"port={free_port()}"), slow)
    assert isinstance(gone, TransientError)
    assert "found no connection to the PostgreSQL of the catalog" in str(gone)
    assert (server.password or PASSWORD) not in str(gone)
