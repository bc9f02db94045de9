"""Pool of each block: a Parquet file of height, pool_slug and date, and beside it, if wanted, names for the slugs."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from io import BytesIO
from typing import Final

import polars as pl
from polars.exceptions import PanicException, PolarsError

from flows.sources.daily_cells import FIRST_DAY, Fault, raise_first
from flows.sources.files.kind import POOL_BLOCKS_EXPORT
from flows.sources.files.reading import Reading
from schemas.errors import BadInputError
from schemas.labels import UNKNOWN_POOL
from schemas.observations import BLOCK, UTC_TIME, ObservedTable
from schemas.text import NAME_EXPECTED, is_name

COLUMNS: Final = ("height", "pool_slug", "date")
HIGHEST_HEIGHT: Final = 10_000_000
"""Some 150 years of blocks; above it lie times and hashes that were taken for heights."""
HEADER_LEAD_HOURS: Final = 2
"""Nodes accept a header time up to this far ahead of their clock, so such a block is not an error."""
MOST_HOURS_BACK: Final = 6
"""A block may be some three hours older than one before it: later than the median of the last eleven, of which each
may be two hours ahead."""
NAMED_SLUGS_RATIO: Final = 0.5
"""A JSON object that names more than this part of the slugs is their list of names; other JSON names none."""

LONGEST_TRIAL_SECONDS: Final = 120

_MAGIC: Final = b"PAR1"
_TRIAL: Final = f"""
import io, sys
try:
    import polars
    polars.read_parquet(io.BytesIO(sys.stdin.buffer.read()), columns={list(COLUMNS)!r})
except BaseException:
    pass
"""
_REMEDY: Final = "write the file again with height: int, pool_slug: str, date: datetime UTC"


def is_parquet(head: bytes, tail: bytes) -> bool:
    """Whether a file that begins and ends like this is Parquet, even a damaged one."""
    return head.startswith(_MAGIC) or tail.endswith(_MAGIC)


def recognised(origin: str, content: bytes) -> bool:
    """Whether this Parquet file is about pools of blocks. Raises `BadInputError` where its schema cannot be read.

    A file with `pool_slug` in whatever case, or without height or date, counts too: a renamed column is rejected.
    """
    return "pool_slug" in {name.lower() for name in _schema(origin, content)}


def read(origin: str, content: bytes, now: datetime) -> Reading:
    """What the file states, slugs as pool names; blank slugs become `unknown`.

    Shape: the columns of `schemas.observations.BLOCK`, sorted by height, gaps left as they are; header times as they
    are, so they may step backward by hours. Difficulty, subsidy and fees are NULL: the file does not state them. Rows
    that repeat another are dropped with a notice. Raises `BadInputError` on anything else that is invalid.
    """
    schema = _schema(origin, content)
    for name in COLUMNS:
        if name not in schema:
            raise BadInputError(origin, f"columns {', '.join(schema)}", f"a column {name}", _REMEDY)
    _check_type(origin, "height", schema["height"], schema["height"].is_integer(), "an integer")
    slug_is_text = schema["pool_slug"] in (pl.String, pl.Categorical, pl.Null)
    _check_type(origin, "pool_slug", schema["pool_slug"], slug_is_text, "a string")
    date_type = schema["date"]
    zoned = isinstance(date_type, pl.Datetime) and date_type.time_zone is not None
    _check_type(origin, "date", date_type, zoned, "a datetime with time zone UTC")

    _check_decodable(origin, content)
    try:
        stated = pl.read_parquet(BytesIO(content), columns=list(COLUMNS)).select(
            row=pl.int_range(1, pl.len() + 1, dtype=pl.Int64),
            height=pl.col("height").cast(pl.Int64, strict=False),
            slug=pl.col("pool_slug").cast(pl.String).str.strip_chars(),
            block_at=pl.col("date").dt.convert_time_zone("UTC").cast(UTC_TIME),
        )
        blocks = stated.select(
            "height",
            "block_at",
            difficulty=pl.lit(None, pl.Float64),
            subsidy_claimed_sat=pl.lit(None, pl.Int64),
            fees_sat=pl.lit(None, pl.Int64),
            pool=pl.when(pl.col("slug") != "").then("slug").otherwise(pl.lit(UNKNOWN_POOL)),
        )
        _check_rows(origin, stated, now)
    except (PolarsError, PanicException) as error:
        raise _damaged(origin, error) from error

    blocks = blocks.unique(maintain_order=False).sort("height")
    repeated = stated.height - blocks.height
    notices = [f"{repeated} row(s) repeated another block and were dropped"] if repeated else []
    return Reading(
        source=POOL_BLOCKS_EXPORT.name,
        table=ObservedTable.BLOCK,
        origin=origin,
        sha256=sha256(content).hexdigest(),
        last_day=blocks.select(pl.col("block_at").max().dt.date()).item(),
        rows=blocks.select(*BLOCK.columns),
        notices=tuple(notices),
    )


def names_of(content: bytes) -> Mapping[str, str]:
    """Names by slug, if `content` is a flat JSON object of strings; empty otherwise."""
    try:
        names = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(names, dict) or not all(
        isinstance(name, str) and name.strip() and name.isprintable() for name in names.values()
    ):
        return {}
    return names


def pick_names(reading: Reading, candidates: Sequence[tuple[str, Mapping[str, str]]]) -> tuple[str, Mapping[str, str]]:
    """Of `candidates` (origin, names) the one that names most of the slugs of `reading`; empty if none names enough."""
    slugs = set(reading.rows["pool"].unique().to_list()) - {UNKNOWN_POOL}
    enough = [each for each in candidates if len(slugs & each[1].keys()) > NAMED_SLUGS_RATIO * len(slugs)]
    return max(enough, key=lambda each: len(slugs & each[1].keys()), default=("", {}))


def with_names(reading: Reading, names: Mapping[str, str]) -> Reading:
    """`reading` with pools by display name; a slug without a name stays, and a notice lists those."""
    slugs = reading.rows["pool"].unique().sort().to_list()
    nameless = [slug for slug in slugs if slug not in names and slug != UNKNOWN_POOL]
    notices = [f"no display name for {', '.join(nameless)}; their slugs are used"] if nameless else []
    named = pl.col("pool").replace({slug: names[slug] for slug in slugs if slug in names})
    return replace(reading, rows=reading.rows.with_columns(named), notices=(*reading.notices, *notices))


def without_names(reading: Reading) -> Reading:
    """`reading` as it is, with a notice that no list of names lies beside the file."""
    message = "no list of display names beside it; pools are called by their slugs"
    return replace(reading, notices=(*reading.notices, message))


def _damaged(origin: str, error: BaseException) -> BadInputError:
    first_line = (str(error).splitlines() or [""])[0]
    return BadInputError(origin, first_line, "a whole Parquet file", "the file is damaged, fetch it again")


def _schema(origin: str, content: bytes) -> dict[str, pl.DataType]:
    try:
        return dict(pl.read_parquet_schema(BytesIO(content)))
    except (PolarsError, PanicException) as error:
        raise _damaged(origin, error) from error


def _check_decodable(origin: str, content: bytes) -> None:
    """Raise `BadInputError` where decoding `content` ends the process; therefore another process tries it.

    A damaged count in a page header makes the decoder allocate more memory than there is, and it aborts instead of
    raising. Errors that are raised are left to `read`.
    """
    command = [sys.executable, "-P", "-c", _TRIAL]
    try:
        trial = subprocess.run(command, input=content, capture_output=True, timeout=LONGEST_TRIAL_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise _damaged(origin, error) from error
    if trial.returncode != 0:
        raise _damaged(origin, MemoryError("decoding it ended the process"))


def _check_type(origin: str, column: str, found: pl.DataType, fits: bool, expected: str) -> None:
    if not fits:
        raise BadInputError(f"{origin} column {column}", str(found), expected, _REMEDY)


def _check_rows(origin: str, stated: pl.DataFrame, now: datetime) -> None:
    if stated.is_empty():
        raise BadInputError(origin, "no rows", "one row a block", "fetch the file again")
    first = datetime(FIRST_DAY.year, FIRST_DAY.month, FIRST_DAY.day, tzinfo=UTC)
    latest = now + timedelta(hours=HEADER_LEAD_HOURS)
    height, block_at = pl.col("height"), pl.col("block_at")
    limits = [
        (height.alias("height"), height.is_between(0, HIGHEST_HEIGHT), f"a height from 0 to {HIGHEST_HEIGHT}"),
        (pl.col("slug").alias("pool_slug"), _is_blank_or_name(pl.col("slug")), NAME_EXPECTED),
        (block_at.alias("date"), block_at.is_between(first, latest), f"a header time from {first} to {latest}"),
    ]
    faults = []
    for column, inside, expected in limits:
        invalid = stated.filter(~inside.fill_null(False)).select("row", _as_text(column)).head(1)
        faults += [
            Fault(row=row, column=column.meta.output_name(), value=found, expected=expected)
            for row, found in invalid.iter_rows()
        ]
    again = stated.filter(pl.col("height").is_duplicated())
    first_stated = again.unique("height", keep="first", maintain_order=True)
    other = again.join(first_stated, on="height", maintain_order="left", suffix="_first").filter(
        pl.col("slug").ne_missing(pl.col("slug_first")) | (pl.col("block_at") != pl.col("block_at_first"))
    )
    faults += [
        Fault(
            row=each["row"],
            column="height",
            value=each["height"],
            expected=f"{each['slug_first']} at {each['block_at_first']} again, as in row {each['row_first']}",
            remedy="keep one of the two rows",
        )
        for each in other.head(1)
        .select("row", "height", "row_first", "slug_first", _as_text(pl.col("block_at_first")))
        .iter_rows(named=True)
    ]
    if not faults:  # in order of height, which must be one
        faults += _backwards(stated)
    raise_first(origin, faults)


def _backwards(stated: pl.DataFrame) -> Iterator[Fault]:
    """The first block that is older than one before it by more than consensus allows."""
    newest = stated.sort("height").with_columns(newest=pl.col("block_at").cum_max())
    older = newest.filter(pl.col("newest") - pl.col("block_at") > timedelta(hours=MOST_HOURS_BACK)).head(1)
    for row, found, before in older.select("row", _as_text(pl.col("block_at")), _as_text(pl.col("newest"))).iter_rows():
        expected = f"a time up to {MOST_HOURS_BACK} hours before {before}, which a lower block has"
        yield Fault(row=row, column="date", value=found, expected=expected)


def _is_blank_or_name(slug: pl.Expr) -> pl.Expr:
    return slug.is_null() | (slug == "") | is_name(slug)


def _as_text(column: pl.Expr) -> pl.Expr:
    """The column as text made by Polars, since a damaged time may lie in a year that Python has no date for."""
    return column.cast(pl.String)
