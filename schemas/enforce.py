"""Validation of a frame: every check, eager, all failures counted, the first one named."""

import pandera.polars as pa
import polars as pl
from pandera.errors import SchemaErrors

from schemas.errors import ContractError


def enforce(frame: pl.DataFrame, schema: pa.DataFrameSchema) -> pl.DataFrame:
    """Check types, order, keys and values of `frame`; return it unchanged.

    Eager on purpose: Pandera skips value checks on a lazy frame. Raises `ContractError` with the number of failures
    and the first of them.
    """
    try:
        return schema.validate(frame, lazy=True)
    except SchemaErrors as error:
        failures = error.failure_cases
        raise ContractError(schema.name or "frame", failures.height, _first(frame, schema, failures)) from error


def _first(frame: pl.DataFrame, schema: pa.DataFrameSchema, failures: pl.DataFrame) -> str:
    """The first failure in words: the limit that a value breaks where it is one, else what Pandera says of it."""
    limits: dict[str, pl.Expr] = (schema.metadata or {}).get("limits", {})
    for statement, holds in limits.items():
        column = holds.meta.root_names()[0]
        if column in frame.columns:
            broken = frame.filter(~holds)
            if not broken.is_empty():
                return f"expected that {statement}, found {broken[column][0]!r}"
    first = failures.row(0, named=True)
    case = first.get("failure_case")
    return f"column {first.get('column')} fails {first.get('check')}" + (f" with {case!r}" if case else "")
