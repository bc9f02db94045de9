"""What a run holds: sources that are built once, and its days in parts."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.run.plan import plan
from flows.run.sources import Sources
from flows.settings import Settings, read_profile
from flows.sources.protocol import Closable, Probed
from schemas.errors import RunOverError, SettingsError

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
LAST_DAY = date(2026, 11, 20)


def test_source_is_built_once(tmp_path: Path) -> None:
    sources = Sources(Settings(home=tmp_path), ("simulated",))
    assert sources["simulated"] is sources["simulated"]


def test_source_without_its_setting_leaves_the_others(tmp_path: Path) -> None:
    sources = Sources(Settings(home=tmp_path), ("files", "simulated"))
    for _ in range(2):
        with pytest.raises(SettingsError, match="HASHPIVOT_FILES_DIR"):
            sources["files"]
    assert sources["simulated"].name == "simulated"


def test_source_that_is_closed_with_its_run_requests_nothing_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"URL": "http://127.0.0.1:1", "USER": "miner", "PASSWORD": "battery"}.items():
        monkeypatch.setenv(f"HASHPIVOT_NODE_{name}", value)
    sources = Sources(Settings(home=tmp_path), ("node",))
    node = sources["node"]
    assert isinstance(node, Probed)
    assert isinstance(node, Closable)
    sources.close()
    with pytest.raises(RunOverError):
        node.probe()


@given(st.integers(1, 800), st.integers(1, 400))
def test_parts_of_a_run_are_its_days_in_order(day_count: int, part_count: int) -> None:
    first = LAST_DAY - timedelta(days=day_count - 1)
    run = plan(Settings(), read_profile("demo"), day=LAST_DAY, since=first, now=NOW)
    parts = run.parts(part_count)
    assert len(parts) == min(part_count, day_count)
    assert (parts[0].since, parts[-1].through) == (first, LAST_DAY)
    assert all(after.since == before.through + timedelta(days=1) for before, after in pairwise(parts))
    lengths = [(part.through - part.since).days + 1 for part in parts if part.since]
    assert max(lengths) - min(lengths) <= 1
    assert {(part.run_id, id(part.sources)) for part in parts} == {(run.run_id, id(run.sources))}
