"""No formula changes without a version, a date, a reason and a line for readers of the data."""

from dataclasses import replace
from datetime import date

import polars as pl
import pytest

from schemas.metric import Change, Example, metric
from schemas.table import Lineage, Origin, Table
from schemas.units import Unit
from tests.definitions import CHANGELOG, Definition, as_text, current, problems, recorded, unreleased
from transforms.catalog import TABLES
from warehouse import dictionary


def test_definitions_are_the_recorded_ones() -> None:
    found, before = current(), recorded()
    stated = list(problems(before, found, unreleased()))
    assert stated == []
    assert found == before, "run `python -m tests.definitions`"


def definitions(version: int, *examples: str) -> dict[str, Definition]:
    return {"t.x_pct": Definition(version, frozenset(examples))}


@pytest.mark.parametrize(
    ("now", "reason"),
    [
        (definitions(1, "a", "b"), None),
        (definitions(1, "a", "b", "c"), None),
        (definitions(1, "a", "c"), "a worked example is gone, its version is the same"),
        (definitions(2, "c"), "version 2 is new, and warehouse/CHANGELOG.md does not name `x_pct`"),
        (definitions(0, "a", "b"), "found version 0, expected 1 or more"),
        ({}, "is gone, and warehouse/CHANGELOG.md does not name `x_pct`"),
    ],
)
def test_change_that_is_not_stated_is_refused(now: dict[str, Definition], reason: str | None) -> None:
    found = list(problems(definitions(1, "a", "b"), now, "- `y_pct` is another"))
    assert [reason in line for line in found if reason] == ([True] if reason else [])
    assert len(found) == (1 if reason else 0)


@pytest.mark.parametrize("now", [{}, definitions(2, "c")])
def test_change_that_the_changelog_names_is_accepted(now: dict[str, Definition]) -> None:
    assert list(problems(definitions(1, "a"), now, "- `x_pct` leaves halvings out")) == []


def test_every_derived_column_is_recorded() -> None:
    derived = {f"{table.name}.{m.name}" for table in TABLES.values() for m in table.metrics if m.examples}
    assert derived == recorded().keys()
    assert len(derived) > 150


def test_every_changed_column_is_in_the_changelog_of_the_data() -> None:
    text = CHANGELOG.read_text("utf-8")
    changed = {m.name for table in TABLES.values() for m in table.metrics if m.changes}
    assert {name for name in changed if f"`{name}`" not in text} == set()


def test_other_example_is_another_definition(monkeypatch: pytest.MonkeyPatch) -> None:
    table = TABLES["security_daily"]
    name, m = next((f"{table.name}.{m.name}", m) for m in table.metrics if m.examples)
    other = replace(m, examples=(replace(m.examples[0], gives=123.0), *m.examples[1:]))
    changed = replace(table, metrics=tuple(other if each is m else each for each in table.metrics))
    monkeypatch.setitem(TABLES, table.name, changed)
    assert [line.partition(":")[0] for line in problems(recorded(), current(), "")] == [name]


def test_change_reaches_readers_of_the_data() -> None:
    @metric(
        Example(given={"part": 1.0}, gives=100.0),
        unit=Unit.PERCENT,
        error="Exact.",
        null_rule=None,
        changes=[Change(on=date(2026, 12, 1), reason="Halvings are left out.")],
    )
    def share_pct() -> pl.Expr:
        """A share."""
        return 100 * pl.col("part")

    table = Table(
        name="t", description="A table.", key=(), metrics=(share_pct,), lineage=Lineage(origin=Origin.REGISTRY)
    )
    rows = dictionary.columns_frame([table], {"t": pl.Schema({"share_pct": pl.Float64})}, {})
    (row,) = rows.select("definition_version", "definition_changed_on", "definition_change").rows()
    assert row == (2, date(2026, 12, 1), "Halvings are left out.")
    assert "A share. Definition 2, of 2026-12-01: Halvings are left out." in dictionary.page([table])
    as_first = replace(share_pct, changes=())
    first = replace(table, metrics=(as_first,))
    unchanged = dictionary.columns_frame([first], {"t": pl.Schema({"share_pct": pl.Float64})}, {})
    columns = ("definition_version", "definition_changed_on", "definition_change")
    assert unchanged.select(columns).rows() == [(1, None, None)]


def test_changes_out_of_order_are_refused() -> None:
    def share_pct() -> pl.Expr:
        """A share."""
        return pl.col("share_pct")

    changes = [Change(on=date(2026, 12, 2), reason="One."), Change(on=date(2026, 12, 1), reason="Other.")]
    with pytest.raises(TypeError, match="changes out of order"):
        metric(unit=Unit.PERCENT, error="Exact.", null_rule=None, changes=changes)(share_pct)


def test_file_is_written_a_line_a_column() -> None:
    text = as_text({"t.b": Definition(1, frozenset("y")), "t.a": Definition(2, frozenset("zx"))})
    assert text == '{\n  "t.a": [2, ["x", "z"]],\n  "t.b": [1, ["y"]]\n}\n'
