"""How the figures of the newest day came about, as a page: formulas, what they read, and where that was observed."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from flows.reports.figure_shown import observation_lines, shown_value, step_lines
from flows.reports.page.given import Given
from transforms.derivation import Figure, Traced

PAGE: Final = "explained.html"
TEMPLATE: Final = "explained.html.jinja"


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One figure: its value, the lines of its formula and of what that read, what it rests on, and observations."""

    name: str
    value: str
    unit: str
    description: str
    steps: tuple[str, ...]
    rests_on: tuple[str, ...]
    observed: tuple[str, ...]


def sections(given: Given, traced: Traced) -> Iterator[Section]:
    """The figures in the order of their names."""
    facts = {f"{row['table_name']}.{row['column_name']}": row for row in given.meta["columns"].iter_rows(named=True)}
    names = {figure.name for figure in traced.figures}
    for figure in sorted(traced.figures, key=lambda each: each.name):
        stated = facts.get(figure.name, {})
        observed = [each for each in traced.observations if each.series == figure.series and figure.series]
        yield Section(
            name=figure.name,
            value=shown_value(figure.value),
            unit=str(stated.get("unit", "")),
            description=str(stated.get("description", "")),
            steps=tuple(step_lines(figure))[1:] if figure.metric else (),
            rests_on=tuple(name for name in _inputs(figure) if name in names),
            observed=tuple(line for each in observed for line in observation_lines(each)),
        )


def model(given: Given, traced: Traced, day: date) -> dict[str, Any]:
    """What the template shows beside the head and foot of all pages."""
    return {"sections": list(sections(given, traced)), "explained_day": day}


def _inputs(figure: Figure) -> tuple[str, ...]:
    if figure.metric is not None and figure.metric.rows is None:
        return tuple(f"{figure.table}.{name}" for name in figure.metric.inputs)
    return figure.rests_on
