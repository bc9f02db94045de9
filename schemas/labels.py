"""What is said of addresses: who holds them, since when, who says so, how sure; and what pools call themselves."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import pandera.polars as pa
import polars as pl

UNKNOWN_POOL: Final = "unknown"
"""Pool of a block that neither its payout addresses nor its coinbase tag gives away."""


class Kind(StrEnum):
    """What the holder of an address does. An exchange wins over everything else that is said of an address."""

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
        "source": pa.Column(pl.String, pa.Check.str_length(min_value=1), description="Where it is said"),
        "confidence": pa.Column(
            pl.Float64, pa.Check.in_range(0, 1), nullable=True, description="How sure the source is; NULL: not told"
        ),
    },
    strict=True,
    ordered=True,
    name="label",
)
"""One row a statement: several sources may speak of one script, and may disagree."""


@dataclass(frozen=True, slots=True)
class PoolEntry:
    """One pool of an open pool list: its name, the output scripts it is paid to, the texts it signs coinbases with."""

    name: str
    scripts: tuple[str, ...]
    tags: tuple[str, ...]
