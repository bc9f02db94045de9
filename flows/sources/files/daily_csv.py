"""Reads a CSV file of one row a day strictly: a cell that is not a plain number is set aside, a few at most.

Polars' own CSV reader fills short rows with NULL and does not count lines, so rows are split here and cast in
`daily_cells`.
"""

from collections.abc import Iterable, Sequence
from datetime import date
from hashlib import sha256
from typing import Final

import polars as pl

from flows.sources.daily_cells import DailyCells, daily_values, shortened
from flows.sources.files.reading import Reading
from schemas.errors import BadInputError
from schemas.observations import ObservedTable

_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


def header_of(head: bytes) -> list[str]:
    """Names in the first line of a file of which `head` is the beginning; empty where that is not a line of text."""
    line = head.removeprefix(_BYTE_ORDER_MARK).split(b"\n", 1)[0].split(b"\r", 1)[0]
    try:
        text = line.decode()
    except UnicodeDecodeError:
        return []
    return [_unquoted(name) for name in text.split(",")] if text.isprintable() else []


def read_daily_values(
    source: str, origin: str, content: bytes, kind: DailyCells, today: date, *, notice: str | None = None
) -> Reading:
    """What the file `content` of `source` states, as `daily_cells.daily_values` reads it; raises as that.

    `notice` is added to what was left out.
    """
    wanted = [kind.day_header, *kind.only, *(column.header for column in kind.columns)]
    cells, cut_short = _cells(origin, content, wanted)
    rows, last_day, notices, failed = daily_values(origin, cells, kind, today, cut_short=cut_short)
    return Reading(
        source=source,
        table=ObservedTable.DAILY_VALUE,
        origin=origin,
        sha256=sha256(content).hexdigest(),
        last_day=last_day,
        rows=rows,
        notices=(*notices, *([notice] if notice else [])),
        failed=failed,
    )


def reject_other_case(origin: str, header: Sequence[str], known: Iterable[str]) -> None:
    """Raise `BadInputError` for a name of the header that differs from a `known` one by case only.

    Without this its column would be missing, and the series would end with the file before.
    """
    by_small_letters = {name.lower(): name for name in known}
    for name in header:
        meant = by_small_letters.get(name.lower(), name)
        if name != meant and meant not in header:
            raise BadInputError(
                f"{origin} row 1", shortened(name), f"column {meant}", "write it as the vendor does, or download again"
            )


def _unquoted(cell: str) -> str:
    cell = cell.strip()
    return cell[1:-1].strip() if len(cell) > 1 and cell[0] == cell[-1] == '"' else cell


def _text(origin: str, content: bytes) -> str:
    """The file as text with one kind of line end. Raises `BadInputError` where bytes are not text."""
    try:
        text = content.removeprefix(_BYTE_ORDER_MARK).decode()
        bad_at = content.find(b"\0")
    except UnicodeDecodeError as error:
        bad_at = error.start + len(content) - len(error.object)
    if bad_at >= 0:
        row = content[:bad_at].count(b"\n") + 1
        found = content[bad_at : bad_at + 1]
        raise BadInputError(f"{origin} row {row}", found, "UTF-8 text", "the file is damaged, download it again")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _cells(origin: str, content: bytes, wanted: Sequence[str]) -> tuple[pl.DataFrame, bool]:
    """Rows of the file as text, empty cells NULL: row, then the `wanted` columns; whether the last has no line end.

    Raises `BadInputError` on a header without a wanted column or with one twice, on a row with too few or too many
    cells, and on a file without rows. Blank lines are no rows.
    """
    text = _text(origin, content)
    header = [_unquoted(name) for name in text.split("\n", 1)[0].split(",")]
    for name in wanted:
        if header.count(name) != 1:
            expected = f"column {name} exactly once"
            raise BadInputError(f"{origin} row 1", shortened(",".join(header)), expected, "download the file again")
    lines = pl.DataFrame({"line": text.split("\n")}).with_row_index("row", offset=1).slice(1)
    lines = lines.with_columns(pl.col("row").cast(pl.Int64)).filter(pl.col("line").str.strip_chars() != "")
    if lines.is_empty():
        raise BadInputError(origin, "a header without rows", "one row a day", "download the file again")
    split = lines.select("row", "line", pl.col("line").str.split(",").alias("cells"))
    ragged = split.filter(pl.col("cells").list.len() != len(header))
    if not ragged.is_empty():
        row, line, cells = ragged.row(0)
        raise BadInputError(
            f"{origin} row {row}",
            shortened(line),
            f"{len(header)} cells, not {len(cells)}",
            "remove thousands separators, or download the file again",
        )
    cell = {name: pl.col("cells").list.get(header.index(name)).str.strip_chars() for name in wanted}
    if '"' in text:
        cell = {name: each.str.replace('^"(.*)"$', "$1").str.strip_chars() for name, each in cell.items()}
    rows = split.select("row", **{name: pl.when(each != "").then(each) for name, each in cell.items()})
    return rows, text.rsplit("\n", 1)[1].strip() != ""
