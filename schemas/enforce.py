"""The one way a frame passes a door: every check, eager, all failures counted, the first one named."""

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
        first = failures.row(0, named=True)
        case = first.get("failure_case")
        detail = f"column {first.get('column')} fails {first.get('check')}" + (f" with {case!r}" if case else "")
        raise ContractError(schema.name or "frame", failures.height, detail) from error
