"""A figure with its definition, formula, inputs and observations: lines for people, whole for programs."""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final

import polars as pl

from flows.reports.figure_facts import FigureFacts
from flows.reports.formula import formula_of
from transforms.derivation import Figure, Observation, Traced, same
from warehouse.publication_queries import PUBLISHED

SHOWN_ROWS: Final = 3
"""At each end of a window; JSON has all of them."""
SHOWN_DIGEST: Final = 12
INDENT: Final = "  "


def lines(facts: FigureFacts, traced: Traced | None, width: int) -> Iterator[str]:
    """The figure in lines of at most `width`: what is stated of it, then how it came about, down to observations."""
    for text in (*_head(facts), *(_steps(facts, traced) if traced is not None else ())):
        indent = " " * (len(text) - len(text.lstrip()))
        yield from textwrap.wrap(text, max(width, 40), subsequent_indent=f"{indent}{INDENT}") or [""]


def _head(facts: FigureFacts) -> Iterator[str]:
    column = facts.column
    name = f"{column['table_name']}.{column['column_name']}"
    yield f"{name}{_at(facts.key)}: {shown_value(facts.value)} [{column['unit']}]"
    yield str(column["description"])
    yield f"How wrong: {column['error']}"
    yield str(column["null_rule"])
    changed = column["definition_changed_on"]
    since = f", since {changed}: {column['definition_change']}" if changed else ""
    yield f"Definition {column['definition_version']}{since}"
    if column["sources"]:
        yield f"Sources: {str(column['sources']).replace(',', ', ')}"
    for reason in facts.nulls:
        yield f"NULL because: {reason}"
    for check in facts.checks:
        outcome = "held" if check["passed"] else f"failed, {check['severity']}"
        yield f"Check {check['check_name']}: {outcome}; {check['detail']}"
    for revision in facts.revisions:
        before, after = revision["value_before"], revision["value_after"]
        are_known = before is not None or after is not None
        how = f"{shown_value(before)} to {shown_value(after)}" if are_known else revision["detail"]
        of = "as published" if revision["source"] == PUBLISHED else f"of {revision['source']}"
        when = _moment(revision["observed_at"])
        yield f"Revised: {revision['item']} {of} from {how} on {when}, by {revision['reason']}"
    if url := facts.row.get("source_url"):
        yield f"Source of the row: {url}"


def _steps(facts: FigureFacts, traced: Traced) -> Iterator[str]:
    first = traced.figures[0]
    if not same(first.value, facts.value):
        yield ""
        yield (
            f"Computed anew it is {shown_value(first.value)}: something was observed since, or the program is another "
            "one; `hashpivot daily` publishes it"
        )
    for number, figure in enumerate(traced.figures):
        if number == 0 and figure.metric is None and figure.series is None and not figure.rests_on:
            continue
        yield ""
        yield from step_lines(figure)
        for observation in traced.observations:
            if observation.series == figure.series:
                yield from observation_lines(observation)


def step_lines(figure: Figure) -> Iterator[str]:
    """A figure, its formula, and what that read."""
    if figure.metric is None:
        of = f", from {', '.join(figure.rests_on)}" if figure.rests_on else ""
        of = f", from the {figure.origin}" if figure.origin else of
        yield f"{figure.name}: {shown_value(figure.value)}{of}"
        return
    yield f"{figure.name}: {shown_value(figure.value)}"
    formula = formula_of(figure.metric)
    *steps, result = formula.text.splitlines()
    for step in steps:
        yield f"{INDENT}{step}"
    yield f"{INDENT}= {result}"
    for name, meaning in formula.meanings.items():
        yield f"{INDENT}{INDENT}{name}: {meaning}"
    if figure.read is not None:
        yield from _read(figure, figure.read)
    outcome = "the same" if figure.is_reproduced else f"{shown_value(figure.again)}, which differs; report it"
    yield f"{INDENT}computed again from these values: {outcome}"


def _read(figure: Figure, read: pl.DataFrame) -> Iterator[str]:
    """What the formula read: one line a column, of several rows those at both ends."""
    columns = [name for name in read.columns if name not in figure.key]
    if read.height == 1:
        for name in columns:
            yield f"{INDENT}{name} {shown_value(read[name][0])}"
        return
    if "from_day" in read.columns:
        yield f"{INDENT}{read.height:,} rows of the registry stand on the day"
        for row in read.head(SHOWN_ROWS).iter_rows(named=True):
            yield f"{INDENT}{INDENT}{', '.join(f'{name} {shown_value(value)}' for name, value in row.items())}"
        if read.height > SHOWN_ROWS:
            yield f"{INDENT}{INDENT}and {read.height - SHOWN_ROWS:,} more; --json has all"
        return
    days = read["day"] if "day" in read.columns else None
    where = f" from {shown_value(days.min())} to {shown_value(days.max())}" if days is not None else ""
    for name in columns:
        values = read[name].to_list()
        ends = (
            [*map(shown_value, values[:SHOWN_ROWS]), "...", *map(shown_value, values[-SHOWN_ROWS:])]
            if len(values) > 2 * SHOWN_ROWS
            else map(shown_value, values)
        )
        known = read[name].drop_nulls().len()
        yield f"{INDENT}{name}, {known:,} of {len(values):,} rows{where}: {', '.join(ends)}"


def observation_lines(observation: Observation) -> Iterator[str]:
    """What a source gives for a series, and the batches that it was observed in."""
    used = "" if observation.is_used else ", not used"
    yield f"{INDENT}{observation.source}{used}: {shown_value(observation.value)}, {observation.how}"
    for batch in observation.batches:
        value = f"{shown_value(batch['value'])} in " if len(observation.batches) > 1 and "value" in batch else ""
        yield (
            f"{INDENT}{INDENT}{value}{batch['origin']}, sha256 {str(batch['sha256'])[:SHOWN_DIGEST]}, observed "
            f"{_moment(batch['observed_at'])}, batch {batch['batch_id']} of run {batch['run_id']}"
        )


def _at(key: Mapping[str, Any]) -> str:
    day = key.get("day")
    others = "".join(f", {name} {value}" for name, value in key.items() if name != "day")
    return f"{f' on {day}' if day is not None else ''}{others}"


def _moment(value: Any) -> str:
    return f"{value:%Y-%m-%d %H:%M} UTC" if isinstance(value, datetime) else str(value)


def shown_value(value: Any) -> str:
    """A value as people read it."""
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, bytes):
        return value.hex()
    return f"{value:,}" if isinstance(value, int | float) else str(value)


def for_program(facts: FigureFacts, traced: Traced | None) -> dict[str, Any]:
    """All of it as values of JSON: every row that a formula read, every batch with its whole digest."""
    found = {
        "table": facts.table.name,
        "column": facts.column["column_name"],
        "key": facts.key,
        "value": facts.value,
        **{name: facts.column[name] for name in ("unit", "description", "error", "null_rule", "sources", "licence")},
        "definition_version": facts.column["definition_version"],
        "nulls": facts.nulls,
        "checks": facts.checks,
        "revisions": facts.revisions,
        "row": facts.row,
    }
    if traced is not None:
        found["figures"] = [_figure(figure) for figure in traced.figures]
        found["observations"] = [
            {
                "series": each.series,
                "source": each.source,
                "value": each.value,
                "how": each.how,
                "is_used": each.is_used,
                "batches": each.batches,
            }
            for each in traced.observations
        ]
    return {name: _plain(value) for name, value in found.items()}


def _figure(figure: Figure) -> dict[str, Any]:
    formula = formula_of(figure.metric) if figure.metric else None
    return {
        "name": figure.name,
        "key": figure.key,
        "value": figure.value,
        "formula": formula and formula.text,
        "meanings": formula.meanings if formula else {},
        "read": figure.read.to_dicts() if figure.read is not None else [],
        "computed_again": figure.again,
        "series": figure.series,
        "rests_on": figure.rests_on,
        "origin": figure.origin,
    }


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [_plain(each) for each in value]
    return value.isoformat() if isinstance(value, date | datetime) else value
