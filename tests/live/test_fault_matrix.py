"""Every hosted source meets every fault: it completes, or reports what it could not fetch, and states nothing wrong.

Writes `build/fault_matrix.md`.
"""

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from flows.settings import Settings
from flows.sources.choose import source_named, web_session_of
from schemas.errors import HashpivotError
from schemas.observations import Batch
from tests.live.cases import Case, all_cases
from tests.replay import Fault, ReplayServer
from tests.replay.faults import ALWAYS, FAULTS
from tests.replay.sites import all_sites

TIME_SCALE = 0.05
LONGEST_SECONDS = 30
PASSES = (
    *("429 html", "429 retry-after", "503 text", "500 json", "truncated", "cut json", "html as json", "empty"),
    *("slow", "silent", "reset"),
)
"""Faults that a second try mends."""
ENDURED = {("every", kind) for kind in ("429 retry-after", "503 text", "silent", "html as json", "cut json")}
"""A fault of each class that stays: refused, broken, without a response, of another kind, half of it."""
PARTS = Path(__file__).parents[2] / "build" / "fault_matrix"
CASES = {case.source: case for case in all_cases()}

Rows = dict[tuple[str, str], pl.DataFrame]


@dataclass
class Seen:
    rows: Rows
    error: HashpivotError | None
    requests_count: int
    seconds: float


def observed(case: Case, home: Path, monkeypatch: pytest.MonkeyPatch, *faults: Fault) -> Seen:
    sites = [site for site in all_sites() if site.name == case.source]
    with ReplayServer(sites, time_scale=TIME_SCALE) as server:
        server.faults.extend(faults)
        for variable, value in server.settings().items():
            monkeypatch.setenv(variable, value)
        settings = Settings(home=home)
        session = web_session_of(settings)
        began, error, batches = time.monotonic(), None, []
        try:
            for item in source_named(case.source, settings, session).observe(case.request):
                if isinstance(item, Batch):
                    batches.append(item)
        except HashpivotError as raised:
            error = raised
        session.close()
        server.check()
        assert len(server.log) == session.usage.requests_count
        secret = sites[0].secret
        shown = f"{error}{error.__context__!r}{error.__cause__!r}" if error else ""
        assert secret is None or secret not in shown
        assert secret is None or all(secret not in batch.origin for batch in batches)
    tables = sorted({(batch.source, batch.table.value) for batch in batches})
    rows = {
        table: pl.concat(batch.rows for batch in batches if (batch.source, batch.table.value) == table).unique()
        for table in tables
    }
    return Seen(rows, error, len(server.log), time.monotonic() - began)


def same(one: Rows, other: Rows) -> bool:
    return one.keys() == other.keys() and all(
        one[table].sort(pl.all()).equals(other[table].sort(pl.all())) for table in one
    )


def within(part: Rows, whole: Rows) -> bool:
    """Whether nothing is stated that is not stated without a fault."""
    return all(
        table in whole and rows.join(whole[table], on=rows.columns, how="anti", nulls_equal=True).is_empty()
        for table, rows in part.items()
    )


@pytest.fixture(scope="session")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Seen]:
    """What each source says where nothing goes wrong."""

    @cache
    def of(name: str) -> Seen:
        with pytest.MonkeyPatch.context() as monkeypatch:
            return observed(CASES[name], tmp_path_factory.mktemp(name), monkeypatch)

    return of


@pytest.fixture(scope="session")
def matrix() -> Iterator[dict[tuple[str, str, str], str]]:
    """Takes a cell a test; whoever ends last, of several processes, writes the table of all."""
    outcomes: dict[tuple[str, str, str], str] = {}
    yield outcomes
    PARTS.mkdir(parents=True, exist_ok=True)
    for source in {name for name, _, _ in outcomes}:
        lines = []
        for kind in dict.fromkeys(kind for name, kind, _ in outcomes if name == source):
            cells = [outcomes.get((source, kind, when), "") for when in ("first", "last", "every")]
            lines.append(f"| {source} | {kind} | {' | '.join(cells)} |\n")
        (PARTS / f"{source}.md").write_text("".join(lines), encoding="utf-8")
    head = "| source | fault | first request | last request | every request |\n| --- | --- | --- | --- | --- |\n"
    parts = [part.read_text(encoding="utf-8") for part in sorted(PARTS.glob("*.md")) if part.stem in CASES]
    PARTS.with_suffix(".md").write_text(head + "".join(parts), encoding="utf-8")


def kinds() -> list[tuple[str, str]]:
    flavours = {site.name: site.flavours for site in all_sites()}
    return [(name, kind) for name in sorted(CASES) for kind in dict.fromkeys([*FAULTS, *flavours[name]])]


def cells() -> list[Any]:
    """Source, fault and requests that meet it; those that say little beyond the others are `long`."""
    return [
        pytest.param(name, kind, when, marks=[] if when == "first" or (when, kind) in ENDURED else pytest.mark.long)
        for name, kind in kinds()
        for when in ("first", "last", "every")
    ]


@pytest.mark.parametrize("name", sorted(CASES))
def test_without_a_fault_a_source_completes(clean: Callable[[str], Seen], name: str) -> None:
    assert clean(name).error is None
    assert clean(name).rows
    assert all(rows.height for rows in clean(name).rows.values())
    assert clean(name).requests_count <= CASES[name].most_requests_count


@pytest.mark.parametrize(("name", "kind", "when"), cells())
def test_fault_ends_well(
    clean: Callable[[str], Seen],
    matrix: dict[tuple[str, str, str], str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    name: str,
    kind: str,
    when: str,
) -> None:
    case = CASES[name]
    first = clean(name).requests_count if when == "last" else 1
    fault = Fault(kind, name, first, ALWAYS if when == "every" else 1)
    with caplog.at_level(logging.DEBUG):
        seen = observed(case, tmp_path, monkeypatch, fault)
    assert seen.seconds < LONGEST_SECONDS
    assert seen.requests_count <= case.most_requests_count
    assert within(seen.rows, clean(name).rows)
    complete = same(seen.rows, clean(name).rows)
    assert complete or seen.error is not None or when == "every"
    if kind in PASSES and when != "every":
        assert complete, seen.error
        assert seen.error is None
    if seen.error is not None:
        assert "\n" not in str(seen.error)
    secret = next(site for site in all_sites() if site.name == name).secret
    assert secret is None or secret not in caplog.text
    parts = "complete" if complete else "part" if seen.rows else "nothing"
    ended = f", {type(seen.error).__name__}" if seen.error else ""
    matrix[name, kind, when] = f"{parts}{ended}; {seen.requests_count} requests"
