"""Observations: the frames that a source yields, before anything is derived from them."""

import math
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

import pandera.polars as pa
import polars as pl

from schemas.enforce import (
    REPEATED,
    contract,
    enforce,
    enforce_types,
    has_types,
    keeps,
    row_check,
    separated,
    value_check,
)
from schemas.errors import ContractError
from schemas.quarantine import METADATA, FailedRow, Quarantine, Rule, is_broken, too_many
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
    quarantine=Quarantine(
        is_sound=False,
        why="counts and sums of a day are made of its blocks, so that a missing one makes them wrong, not NULL",
    ),
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
    quarantine=Quarantine(is_sound=True, why="a value stands for its series and day alone; without it the day is NULL"),
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
    quarantine=Quarantine(
        is_sound=False, why="flows of all exchanges and pools are sums of its rows, which a missing one would lower"
    ),
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
    quarantine=Quarantine(
        is_sound=False, why="flows of a day are sums of its transfers, which a missing one would lower"
    ),
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
    quarantine=Quarantine(
        is_sound=False, why="a block without its row counts as not read, and flows of a day are sums of its blocks"
    ),
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
    quarantine=Quarantine(
        is_sound=False,
        why="amounts of a quarter are differences of longer periods, so that a missing fact changes others",
    ),
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
    quarantine=Quarantine(
        is_sound=False,
        why="a row states that a filing was looked at; without it the filing would be fetched in every run",
    ),
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

QUARANTINE: Final[dict[ObservedTable, Quarantine]] = {
    table: (schema.metadata or {})[METADATA] for table, schema in OBSERVED.items()
}
"""Whether failing rows of a table may be set aside one by one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Validated rows of one table that one source stated at one moment, with where they came from.

    `origin` is a path or an address without secrets, `sha256` the digest of the bytes that were read. A batch is
    checked when it is made: an instance that exists may be stored. `failed`: rows that the source stated beside them
    and that are set aside; those among `rows` that fail join them where the table permits it. `is_decided`: a person
    has let the rows in, so that only their types and keys are checked.
    """

    source: str
    table: ObservedTable
    origin: str
    sha256: str
    observed_at: datetime
    rows: pl.DataFrame
    failed: tuple[FailedRow, ...] = ()
    is_decided: bool = False

    def __post_init__(self) -> None:
        if self.observed_at.utcoffset() is None:
            raise ValueError(f"observed_at {self.observed_at} of {self.origin} has no time zone, expected UTC")
        schema = OBSERVED[self.table]
        if self.is_decided:
            enforce_types(self.rows, schema)
        elif not QUARANTINE[self.table].is_sound or keeps(self.rows, schema) or not has_types(self.rows, schema):
            enforce(self.rows, schema)
        else:
            self._set_aside()

    def _set_aside(self) -> None:
        """Move rows that fail to the `failed`. Raises `ContractError` where they are more than are set aside."""
        schema = OBSERVED[self.table]
        sound, failing = separated(self.rows, schema)
        count, of = len(self.failed) + failing.height, len(self.failed) + self.rows.height
        if is_broken(count, of):
            try:
                enforce(self.rows, schema)
            except ContractError as error:
                raise ContractError(error.table, error.failures, f"{error.first}; {too_many(count, of)}") from error
        found = [_failed_row(each, self.table) for each in failing.iter_rows(named=True)]
        object.__setattr__(self, "rows", sound)
        object.__setattr__(self, "failed", (*self.failed, *found))


def _failed_row(row: dict[str, Any], table: ObservedTable) -> FailedRow:
    """A row of the types of its table with what it breaks, in `separated`."""
    broken, expected = row.pop("_broken"), row.pop("_expected")
    key = {name: row[name] for name in KEYS[table]}
    is_whole = not any(
        value is None or (isinstance(value, float) and not math.isfinite(value)) for value in row.values()
    )
    rule = Rule.UNREADABLE
    if is_whole:
        rule = Rule.KEY if broken in key else Rule.REPEATED if broken == REPEATED else Rule.VALUE
    found = ", ".join(f"{name} {value}" for name, value in row.items())
    return FailedRow(
        key=key,
        received={name: str(value) if isinstance(value, float) else value for name, value in row.items()},
        row=row if is_whole else None,
        rule=rule,
        reason=f"found {found}, expected {expected}",
        place=" ".join(str(value) for value in key.values()),
    )


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
