"""Observations: the frames that a source yields, before anything is derived from them."""

import math
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

import pandera.polars as pa
import polars as pl

from schemas.enforce import contract, enforce, row_check, value_check
from schemas.series import SERIES
from schemas.text import NAME_EXPECTED, PLAIN_EXPECTED, cell, is_name, is_plain

UTC_TIME = pl.Datetime("us", "UTC")
_ACCESSION = r"^\d{10}-\d{2}-\d{6}$"


class ObservedTable(StrEnum):
    """The shapes an observation can have; also the names of the raw tables."""

    BLOCK = "block"
    DAILY_VALUE = "daily_value"
    EXCHANGE_FLOW = "exchange_flow"
    MINER_TRANSFER = "miner_transfer"
    MINER_BLOCK_FLOW = "miner_block_flow"
    FILING_FACT = "filing_fact"
    FILING = "filing"


def _within_bounds() -> pl.Expr:
    """Whether the value lies where `schemas.series` allows. NaN and infinities never do."""
    series, value = pl.col("series"), pl.col("value")
    bounds = pl.DataFrame(
        [(s.name, s.ge, s.le if s.le is not None else math.inf, s.above) for s in SERIES.values()],
        schema={"series": pl.String, "ge": pl.Float64, "le": pl.Float64, "above": pl.Boolean},
        orient="row",
    )
    least, most, is_above = (
        series.replace_strict(bounds["series"], bounds[name], default=None) for name in ("ge", "le", "above")
    )
    inside = value.is_finite() & (value <= most) & (value >= least) & ~(is_above & (value == least))
    return inside.fill_null(False)


_NAME = value_check(is_name, NAME_EXPECTED)
_PLAIN = value_check(is_plain, PLAIN_EXPECTED)


BLOCK = contract(
    "block",
    {
        "height": pa.Column(pl.Int64, pa.Check.ge(0), unique=True, description="Height of the block in the chain"),
        "block_at": pa.Column(UTC_TIME, description="Time in the block header, as the miner set it; may step backward"),
        "difficulty": pa.Column(pl.Float64, pa.Check.gt(0), nullable=True, description="Difficulty the block met"),
        "subsidy_claimed_sat": pa.Column(
            pl.Int64, pa.Check.ge(0), nullable=True, description="Coinbase outputs less fees"
        ),
        "fees_sat": pa.Column(pl.Int64, pa.Check.ge(0), nullable=True, description="Fees of the block's transactions"),
        "pool": pa.Column(
            pl.String, _NAME, nullable=True, description="Pool that made the block, 'unknown' if not known"
        ),
    },
)
"""One row a block. NULL means that the source does not state it, never zero."""

DAILY_VALUE = contract(
    "daily_value",
    {
        "series": pa.Column(pl.String, pa.Check.isin(sorted(SERIES)), description="Name in `schemas.series`"),
        "day": pa.Column(pl.Date, description="UTC day the value describes"),
        "value": pa.Column(pl.Float64, description="Value in the unit of the series"),
    },
    checks=[row_check("value within the bounds of its series", _within_bounds())],
    unique=["series", "day"],
)
"""One row a series and day. A day that a source does not state has no row."""

EXCHANGE_FLOW = contract(
    "exchange_flow",
    {
        "day": pa.Column(pl.Date, description="UTC day of the transfers"),
        "exchange": pa.Column(pl.String, _NAME, description="Exchange that received the coins, or 'all' for their sum"),
        "pool": pa.Column(pl.String, _NAME, description="Pool whose wallets sent them, or 'all' for their sum"),
        "transfer_sat": pa.Column(pl.Int64, pa.Check.ge(0), description="Coins transferred"),
        "transfer_count": pa.Column(
            pl.Int64, pa.Check.ge(0), nullable=True, description="Transactions that carried them"
        ),
        "top10_sat": pa.Column(
            pl.Int64, pa.Check.ge(0), nullable=True, description="The ten largest of those transactions, summed"
        ),
    },
    unique=["day", "exchange", "pool"],
)
"""One row a day, exchange and pool with at least one transfer; `covered` days without a row had none.

A vendor that does not distinguish pools or exchanges states sums, with 'all' in their place; a pair that it does
not state on a day is not known. NULL means that the source does not state it.
"""

MINER_TRANSFER = contract(
    "miner_transfer",
    {
        "height": pa.Column(pl.Int64, pa.Check.ge(0), description="Height of the block"),
        "block_hash": pa.Column(
            pl.String, _PLAIN, description="Hash of the block; distinguishes branches of the chain"
        ),
        "txid": pa.Column(pl.String, _PLAIN, description="Transaction"),
        "exchange": pa.Column(pl.String, _NAME, description="Exchange that received the coins"),
        "pool": pa.Column(pl.String, _NAME, description="Pool whose scripts put in the most"),
        "hop": pa.Column(
            pl.Int64, pa.Check.isin([0, 1]), description="0: paid by a coinbase; 1: paid by such a script"
        ),
        "transfer_sat": pa.Column(pl.Int64, pa.Check.gt(0), description="Coins attributed to the miners"),
        "fresh_sat": pa.Column(
            pl.Int64, pa.Check.ge(0), nullable=True, description="Of these straight out of coinbase outputs"
        ),
        "miner_input_sat": pa.Column(pl.Int64, pa.Check.gt(0), description="What the miners' scripts put in"),
        "total_input_sat": pa.Column(pl.Int64, pa.Check.gt(0), description="All inputs of the transaction"),
        "quality": pa.Column(pl.String, pa.Check.isin(["A", "B", "C"]), description="How sure the sender is"),
        "label_set": pa.Column(pl.String, _PLAIN, description="Version of the labels that named the exchange"),
    },
    unique=["height", "block_hash", "txid", "exchange", "hop", "label_set"],
)
"""One row a transaction, exchange and layer of miners. Counts only while its block and its labels are the latest."""

MINER_BLOCK_FLOW = contract(
    "miner_block_flow",
    {
        "height": pa.Column(pl.Int64, pa.Check.ge(0), unique=True, description="Height of the block"),
        "block_hash": pa.Column(pl.String, _PLAIN, description="Hash of the block"),
        "pool": pa.Column(pl.String, _NAME, description="Pool that made the block, 'unknown' if not known"),
        "outflow_sat": pa.Column(pl.Int64, pa.Check.ge(0), description="Coins that left miners' scripts"),
        "outflow_tx_count": pa.Column(pl.Int64, pa.Check.ge(0), description="Transactions that carried them"),
        "largest_outflows_sat": pa.Column(pl.List(pl.Int64), description="Up to ten largest of these, descending"),
        "inflow_sat": pa.Column(pl.Int64, pa.Check.ge(0), description="Coins that came to miners' scripts"),
        "fee_sat": pa.Column(pl.Int64, pa.Check.ge(0), description="Miners' part of the fees"),
        "one_hop_outflow_sat": pa.Column(pl.Int64, pa.Check.ge(0), description="Coins that left the 1-hop layer"),
        "coinbase_direct_to_exchange_sat": pa.Column(
            pl.Int64, pa.Check.ge(0), description="What the coinbase pays to exchanges"
        ),
        "label_set": pa.Column(pl.String, _PLAIN, description="Version of the labels that were used"),
    },
)
"""One row a block, a block without any flow included: it shows that the block was read."""

FILING_FACT = contract(
    "filing_fact",
    {
        "cik": pa.Column(pl.Int64, pa.Check.in_range(1, 9_999_999_999), description="Central Index Key of the filer"),
        "tag": pa.Column(pl.String, _PLAIN, description="Element, without its taxonomy"),
        "period_start": pa.Column(pl.Date, description="First day of the period"),
        "period_end": pa.Column(pl.Date, description="Last day of the period"),
        "value_usd": pa.Column(pl.Int64, description="Whole US dollars, over the whole period"),
        "form": pa.Column(pl.String, _PLAIN, description="Form of the filing: 10-Q, 10-K ..."),
        "filed_on": pa.Column(pl.Date, description="Day the filing was made public"),
        "accession": pa.Column(pl.String, pa.Check.str_matches(_ACCESSION), description="Number of the filing"),
    },
    checks=[
        row_check(
            "a period that begins before it ends and ends before it is filed",
            (pl.col("period_start") < pl.col("period_end")) & (pl.col("period_end") <= pl.col("filed_on")),
        )
    ],
    unique=["cik", "tag", "period_start", "period_end", "accession"],
)
"""One row an amount of a period as one filing states it; later filings repeat it as a comparative."""

FILING = contract(
    "filing",
    {
        "cik": pa.Column(pl.Int64, pa.Check.in_range(1, 9_999_999_999), description="Central Index Key of the filer"),
        "accession": pa.Column(pl.String, pa.Check.str_matches(_ACCESSION), description="Number of the filing"),
        "company": pa.Column(pl.String, _PLAIN, description="Name of the filer, as filed"),
        "form": pa.Column(pl.String, _PLAIN, description="Form: 8-K, 10-Q, 10-K, 6-K ..."),
        "filed_on": pa.Column(pl.Date, description="Day the filing was made public"),
        "items": pa.Column(pl.String, _PLAIN, nullable=True, description="Items of an 8-K, comma-separated"),
        "document_url": pa.Column(
            pl.String, [_PLAIN, pa.Check.str_matches(r"^https?://\S+$")], description="Document that was looked at"
        ),
        "keywords": pa.Column(pl.String, description="Keywords found, sorted, comma-separated; '' where none is"),
        "excerpt": pa.Column(
            pl.String,
            [_PLAIN, pa.Check.str_length(max_value=400)],
            nullable=True,
            description="Text around the first of them",
        ),
    },
    checks=[
        row_check("an excerpt exactly where a keyword is", (pl.col("keywords") == "") == pl.col("excerpt").is_null()),
    ],
    unique=["cik", "accession"],
)
"""One row a filing that was looked at, one without a keyword included: it shows that nothing was found in it."""

OBSERVED = {
    ObservedTable(schema.name): schema
    for schema in (BLOCK, DAILY_VALUE, EXCHANGE_FLOW, MINER_TRANSFER, MINER_BLOCK_FLOW, FILING_FACT, FILING)
}

KEYS = {
    table: tuple(schema.unique or [name for name, column in schema.columns.items() if column.unique])
    for table, schema in OBSERVED.items()
}
"""The columns that identify a row of one source."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Validated rows of one table that one source stated at one moment, with where they came from.

    `origin` is a path or an address without secrets, `sha256` the digest of the bytes that were read. A batch is
    checked when it is made: an instance that exists may be stored.
    """

    source: str
    table: ObservedTable
    origin: str
    sha256: str
    observed_at: datetime
    rows: pl.DataFrame

    def __post_init__(self) -> None:
        if self.observed_at.utcoffset() is None:
            raise ValueError(f"observed_at {self.observed_at} of {self.origin} has no time zone, expected UTC")
        enforce(self.rows, OBSERVED[self.table])


REMEMBERED_BLOCKS: Final = 2_016
"""How deep a fork is looked for: two weeks of the main network."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retraction:
    """The statement of a source that no block above a height that it stated before is on its chain any more.

    Blocks that took their place follow in batches. `sha256`: of the hash of the highest one.
    """

    source: str
    origin: str
    sha256: str
    observed_at: datetime
    above_height: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Something that is not an error but that the reader of the tables should know.

    `origin` and `message` may hold what others wrote; what is not seen in it is escaped.
    """

    source: str
    origin: str
    message: str

    def __post_init__(self) -> None:
        for name in ("origin", "message"):
            object.__setattr__(self, name, cell(getattr(self, name)))
