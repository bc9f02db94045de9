"""The source `files`: finds every export in a folder, resolves overlaps between them, and yields their rows."""

import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date
from pathlib import Path, PurePosixPath
from typing import Final

import polars as pl

from flows.sources.files import coinmetrics, cryptoquant, pool_blocks
from flows.sources.files.daily_csv import header_of
from flows.sources.files.overlap import newest_wins
from flows.sources.files.reading import Reading
from flows.sources.protocol import Request
from schemas.errors import BadInputError, TransientError
from schemas.observations import Batch, Notice, ObservedTable

SETTING: Final = "HASHPIVOT_FILES_DIR"
LARGEST_FILE_BYTES: Final = 512 * 1024**2
LARGEST_NAMES_BYTES: Final = 1024**2
"""Names of a few hundred pools take kilobytes."""
HEAD_BYTES: Final = 64 * 1024
TAIL_BYTES: Final = 4
MOST_NOTICES_A_FOLDER_COUNT: Final = 20

_LOOKED_FOR: Final = (
    "a Coin Metrics CSV (time, PriceUSD, BlkCnt ...), a CryptoQuant CSV (date, <metric>) "
    "or a Parquet file (height, pool_slug, date)"
)


@dataclass(frozen=True, slots=True)
class Files:
    """Exports of Coin Metrics and CryptoQuant and pool-per-block Parquet files anywhere below `folder`.

    Files are recognised by their content. Hidden ones are skipped, linked folders are not entered. Where several files
    of one source state the same thing the newest wins: see `overlap`. All files are read before the first batch is
    yielded, so one bad file stops them all; a few bad rows of a file are set aside and stop nothing.
    """

    folder: Path

    @property
    def name(self) -> str:
        """Short name for logs and profiles."""
        return "files"

    def observe(self, request: Request) -> Iterator[Batch | Notice]:
        """Yield every notice, then one batch a file, oldest first within a table.

        Raises `BadInputError` naming file, row, column and value for invalid content, or naming the setting where the
        folder cannot be used; `TransientError` where reading failed for a reason that may pass.
        """
        readings: list[Reading] = []
        skipped: dict[str, _Skipped] = {}
        for path in _paths(self.folder):
            origin = _shown(path, self.folder)
            reading = _reading(path, origin, request)
            if isinstance(reading, Reading):
                readings.append(reading)
            else:
                skipped[origin] = _Skipped(path, reading)
        if not readings:
            raise BadInputError(SETTING, f"{self.folder} with none", _LOOKED_FOR, "put exports there")
        readings = newest_wins(_with_pool_names(readings, skipped))

        yield from _skip_notices(skipped)
        for reading in sorted(readings, key=lambda each: each.origin):
            for message in reading.notices:
                yield Notice(source=reading.source, origin=reading.origin, message=message)
        requested = [(_requested_failed(reading, request), _requested(reading, request)) for reading in readings]
        wanted = (each for each in requested if each[0].failed or not each[1].is_empty())
        for reading, rows in sorted(wanted, key=_place_in_time):
            yield Batch(
                source=reading.source,
                table=reading.table,
                origin=reading.origin,
                sha256=reading.sha256,
                observed_at=request.now,
                rows=rows,
                failed=reading.failed,
            )


@dataclass(frozen=True, slots=True)
class _Skipped:
    path: Path
    reason: str


def _paths(folder: Path) -> Iterator[Path]:
    """Everything below `folder` that is neither hidden nor a folder, in one order on every machine."""

    def reject(error: OSError) -> None:
        raise BadInputError(SETTING, f"{error.filename}: {error.strerror}", "a readable folder", "choose another")

    try:
        status = folder.stat()
    except OSError as error:
        raise BadInputError(SETTING, f"{folder}: {error.strerror}", "a readable folder", "create it") from error
    if not stat.S_ISDIR(status.st_mode):
        raise BadInputError(SETTING, f"{folder}, which is a file", "a folder with exports", "name the folder it is in")
    for place, folders, names in os.walk(folder, onerror=reject):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        links = [name for name in folders if Path(place, name).is_symlink()]
        for name in sorted([*names, *links]):
            if not name.startswith("."):
                yield Path(place, name)


def _shown(path: Path, folder: Path) -> str:
    """The path below `folder`, with what cannot be printed on one line written as an escape."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in path.relative_to(folder).as_posix())


def _reading(path: Path, origin: str, request: Request) -> Reading | str:
    """What the file states, or why it is skipped."""
    today = request.now.astimezone(UTC).date()
    if path.is_symlink() and not path.exists():
        return "skipped: a link to nothing"
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            return "skipped: not a regular file"
        if status.st_size > LARGEST_FILE_BYTES:
            return f"skipped: larger than {LARGEST_FILE_BYTES} bytes"
        head, tail = _ends(path, status.st_size)
        header = header_of(head)
        if pool_blocks.is_parquet(head, tail):
            content = path.read_bytes()
            if pool_blocks.recognised(origin, content):
                return pool_blocks.read(origin, content, request.now)
        elif coinmetrics.recognised(header):
            return coinmetrics.read(origin, path.read_bytes(), header, today)
        elif cryptoquant.recognised(header):
            if why := cryptoquant.why_skipped(origin, header):
                return why
            return cryptoquant.read(origin, path.read_bytes(), header, today)
    except PermissionError as error:
        raise BadInputError(origin, error.strerror, "a readable file", "grant access or move it away") from error
    except OSError as error:
        raise TransientError(f"{origin}: {error.strerror}, expected a readable file; try again") from error
    return "skipped: not a format this reader knows"


def _ends(path: Path, size_bytes: int) -> tuple[bytes, bytes]:
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
        file.seek(max(size_bytes - TAIL_BYTES, 0))
        return head, file.read(TAIL_BYTES)


def _with_pool_names(readings: list[Reading], skipped: dict[str, _Skipped]) -> list[Reading]:
    """The readings, pools by display name where a list of names lies beside the file; such lists leave `skipped`."""
    named, used = [], set()
    for reading in readings:
        if reading.table is ObservedTable.BLOCK:
            candidates = [
                (origin, _names(each.path))
                for origin, each in skipped.items()
                if PurePosixPath(origin).parent == PurePosixPath(reading.origin).parent
            ]
            origin, names = pool_blocks.pick_names(reading, candidates)
            used.add(origin)
            reading = pool_blocks.with_names(reading, names) if names else pool_blocks.without_names(reading)
        named.append(reading)
    for origin in used:
        skipped.pop(origin, None)
    return named


def _names(path: Path) -> Mapping[str, str]:
    try:
        if not path.is_file() or path.stat().st_size > LARGEST_NAMES_BYTES:
            return {}
        return pool_blocks.names_of(path.read_bytes())
    except OSError:
        return {}


def _skip_notices(skipped: dict[str, _Skipped]) -> Iterator[Notice]:
    """One notice a file, or one a folder and reason where there are many."""
    alike: dict[tuple[PurePosixPath, str], list[str]] = {}
    for origin, each in skipped.items():
        alike.setdefault((PurePosixPath(origin).parent, each.reason), []).append(origin)
    notices = []
    for (folder, reason), origins in alike.items():
        if len(origins) > MOST_NOTICES_A_FOLDER_COUNT:
            message = f"{len(origins)} files, the first of them {PurePosixPath(origins[0]).name}, {reason}"
            notices.append(Notice(source="files", origin=str(folder), message=message))
        else:
            notices += [Notice(source="files", origin=origin, message=reason) for origin in origins]
    yield from sorted(notices, key=lambda notice: notice.origin)


def _requested(reading: Reading, request: Request) -> pl.DataFrame:
    """The rows of the requested days; a block counts to the UTC day of its header time."""
    day = pl.col("block_at").dt.date() if reading.table is ObservedTable.BLOCK else pl.col("day")
    return reading.rows.filter(day.is_between(request.since or date.min, request.through))


def _requested_failed(reading: Reading, request: Request) -> Reading:
    """The reading with only those failed rows that may be of the requested days."""
    days = (request.since or date.min, request.through)
    failed = [
        each for each in reading.failed if not isinstance(day := each.key.get("day"), date) or days[0] <= day <= days[1]
    ]
    return replace(reading, failed=tuple(failed))


def _place_in_time(requested: tuple[Reading, pl.DataFrame]) -> tuple[str, str, str]:
    reading, rows = requested
    time = "block_at" if reading.table is ObservedTable.BLOCK else "day"
    first: str | None = rows.select(pl.col(time).min().cast(pl.String)).item()
    return reading.table.value, first or "", reading.origin
