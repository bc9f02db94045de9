"""Blocks, of a node or of an explorer, as rows of `schemas.observations.BLOCK`."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

import polars as pl

from schemas.observations import BLOCK


class Block(Protocol):
    """What has the columns of `BLOCK` as attributes, but for `block_at`."""

    @property
    def time(self) -> int:
        """Time in the header, in Unix seconds."""
        ...


def block_frame(blocks: Sequence[Block]) -> pl.DataFrame:
    """One row for each of `blocks`, in their order. Shape: the columns of `schemas.observations.BLOCK`."""
    types = {name: column.dtype.type for name, column in BLOCK.columns.items()}

    def column(name: str) -> list[Any]:
        if name == "block_at":
            return [datetime.fromtimestamp(block.time, UTC) for block in blocks]
        return [getattr(block, name) for block in blocks]

    return pl.DataFrame({name: column(name) for name in types}, schema=types)
