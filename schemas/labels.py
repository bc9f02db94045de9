"""Labels of addresses: holder, first day, source and confidence; and the names, scripts and tags of pools."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import pandera.polars as pa
import polars as pl

UNKNOWN_POOL: Final = "unknown"
"""Pool of a block that neither its payout addresses nor its coinbase tag identifies."""


class Kind(StrEnum):
    """What the holder of an address does. An exchange label takes precedence over all other labels of an address."""

    EXCHANGE = "exchange"
    POOL = "pool"
    MINER = "miner"
    SERVICE = "service"
    OTHER = "other"


LABEL = pa.DataFrameSchema(
    {
        "script": pa.Column(
            pl.String, pa.Check.str_matches(r"^([0-9a-f]{2})+$"), description="Output script in hexadecimal; the key"
        ),
        "address": pa.Column(pl.String, nullable=True, description="Address of the script, where it has one"),
        "entity": pa.Column(pl.String, pa.Check.str_length(min_value=1), description="Who holds it, in small letters"),
        "kind": pa.Column(pl.String, pa.Check.isin([kind.value for kind in Kind]), description="What the holder does"),
        "valid_from": pa.Column(
            pl.Date, nullable=True, description="First day it belongs to the holder; NULL: as long as it is used"
        ),
        "known_at": pa.Column(pl.Date, description="Day the label was stated or last changed"),
        "source": pa.Column(pl.String, pa.Check.str_length(min_value=1), description="Where it is stated"),
        "confidence": pa.Column(
            pl.Float64, pa.Check.in_range(0, 1), nullable=True, description="Confidence of the source; NULL: not stated"
        ),
    },
    strict=True,
    ordered=True,
    name="label",
)
"""One row a statement: several sources may label one script, and may disagree."""


@dataclass(frozen=True, slots=True)
class PoolEntry:
    """One pool of an open pool list: its name, the output scripts it is paid to, its coinbase tags."""

    name: str
    scripts: tuple[str, ...]
    tags: tuple[str, ...]
