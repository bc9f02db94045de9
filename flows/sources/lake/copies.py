"""Copies on disk of the columns that are needed: one Parquet file for each file of the lake and version of it.

A copy is fetched range by range into a draft, which a run that follows a killed one goes on with, and is there once it
is whole; its name holds the digest of its bytes, which is checked before it is read. Small files, which are blocks
beside the file of the day, are fetched whole.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory
from threading import Lock
from typing import BinaryIO, Final, TypeVar

from flows.sources.lake.aws import AWS
from flows.sources.lake.bucket import Bucket, LakeFile
from flows.sources.lake.footer import END_BYTES, MAGIC, Pruned, columns_of, footer_bytes, pruned, ranges
from flows.sources.lake.layout import BLOCKS, TRANSACTIONS, Layout
from schemas.errors import BadInputError, FileChangedError, WarehouseError
from warehouse.atomic_files import sha256_of, sync

END_OF_FILE_BYTES: Final = 64 * 1024
"""Fetched at once for the footer, which takes 15 to 40 kB."""
WHOLE_FILE_BYTES: Final = 1024**2
DIGEST_CHARACTERS: Final = 16
Read = TypeVar("Read")
_KEY: Final = re.compile(r"(blocks|transactions)/date=(\d{4}-\d{2}-\d{2})/(?P<name>[^/]+\.parquet)")
_TEMPORARY: Final = "parts-"


@dataclass(frozen=True, slots=True)
class DayFiles:
    """The files of one day in their versions, in the order in which their rows count."""

    day: date
    blocks: tuple[LakeFile, ...]
    transactions: tuple[LakeFile, ...]

    @property
    def version(self) -> str:
        """A text that is another one where any file is of another version."""
        return "-".join(_digest(file) for file in self.all)

    @property
    def all(self) -> tuple[LakeFile, ...]:
        """The files of both tables."""
        return (*self.blocks, *self.transactions)


@dataclass(frozen=True, slots=True)
class DayCopies:
    """Where the copies of one day are, by table, in the order of its files."""

    blocks: tuple[Path, ...]
    transactions: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Cost:
    """What it takes to copy files: ranges, their bytes, and how many of these are needed."""

    requests_count: int
    received_bytes: int
    needed_bytes: int


class Copies:
    """The copies of one lake in `folder`. Days may be fetched by several threads at once, each day by one of them."""

    def __init__(
        self, bucket: Bucket, folder: Path, layout: Layout = AWS, *, whole_file_bytes: int = WHOLE_FILE_BYTES
    ) -> None:
        """`whole_file_bytes`: up to this size a file is fetched at once and not in ranges."""
        self.bucket, self.folder, self.layout, self._whole_file_bytes = bucket, folder, layout, whole_file_bytes
        self._listed: dict[str, list[LakeFile]] = {}
        self._pruned: dict[LakeFile, Pruned] = {}
        self._checked: set[Path] = set()
        self._lock = Lock()

    def days(self, first: date, last: date) -> tuple[dict[date, DayFiles], dict[date, str]]:
        """The days from `first` to `last` whose files are ready, and of the others why not.

        Raises as `Bucket.files`, and `SettingsError` for files of another layout.
        """
        by_day: dict[date, dict[str, list[LakeFile]]] = {}
        for table in (BLOCKS, TRANSACTIONS):
            for file in self._files(table, first.year, last.year):
                key = _KEY.fullmatch(file.key)
                if key and first <= (day := date.fromisoformat(key[2])) <= last:
                    by_day.setdefault(day, {BLOCKS: [], TRANSACTIONS: []})[table].append(file)
        ready: dict[date, DayFiles] = {}
        reasons: dict[date, str] = {}
        for day, tables in sorted(by_day.items()):
            try:
                blocks, transactions = (self.layout.of_day(tables[table], table) for table in (BLOCKS, TRANSACTIONS))
                ready[day] = DayFiles(day, blocks, transactions)
            except ValueError as error:
                reasons[day] = str(error)
        return ready, reasons

    def has(self, day: date) -> bool:
        """Whether there is a copy of the transactions of `day`, of whatever version."""
        return any((self.folder / TRANSACTIONS).glob(f"{day}-*.parquet"))

    def is_whole(self, files: DayFiles) -> bool:
        """Whether all copies of the day are there."""
        return all(self.find(file) for file in files.all)

    def find(self, file: LakeFile) -> Path | None:
        """The copy of `file`; None where there is none that is whole."""
        stem = self._stem(file)
        return next(stem.parent.glob(f"{stem.name}-*.parquet"), None)

    def of(self, files: DayFiles) -> DayCopies:
        """The copies of `files`, as far as they are there."""
        blocks, transactions = (
            tuple(path for path in map(self.find, table) if path is not None)
            for table in (files.blocks, files.transactions)
        )
        return DayCopies(blocks, transactions)

    def of_version(self, day: date, version: str) -> DayCopies | None:
        """The copies of `day` in a `version` of `DayFiles`, without a listing; None where one is not there."""
        found: dict[str, list[Path]] = {BLOCKS: [], TRANSACTIONS: []}
        for digest in version.split("-"):
            for table, paths in found.items():
                paths += (self.folder / table).glob(f"{day}-{digest}-*.parquet")
        if sum(map(len, found.values())) < len(version.split("-")):
            return None
        return DayCopies(tuple(found[BLOCKS]), tuple(found[TRANSACTIONS]))

    def temporary_folder(self) -> TemporaryDirectory[str]:
        """A folder on the disk of the copies, for one run; what a killed one left is removed.

        Raises `WarehouseError` where the disk does not take it.
        """
        for left in self.folder.glob(f"{_TEMPORARY}*"):
            rmtree(left, ignore_errors=True)
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            return TemporaryDirectory(prefix=_TEMPORARY, dir=self.folder)
        except OSError as error:
            raise WarehouseError(
                f"{self.folder}: {error.strerror or error}, expected room for a temporary folder; "
                "free space and run again"
            ) from error

    def _stem(self, file: LakeFile) -> Path:
        table, day, _ = file.key.split("/")
        return self.folder / table / f"{day.removeprefix('date=')}-{_digest(file)}"

    def cost(self, days: Iterable[DayFiles]) -> Cost:
        """What is left to fetch of `days`, from the footers of their files. Raises as `fetch`."""
        requests_count = received_bytes = needed_bytes = 0
        for file in (file for files in days for file in files.all if not self.find(file)):
            if file.size_bytes <= self._whole_file_bytes:
                requests_count, received_bytes = requests_count + 1, received_bytes + file.size_bytes
                needed_bytes += file.size_bytes
                continue
            copy = self._of(file)
            spans = list(ranges(copy.chunks))
            requests_count += len(spans)
            received_bytes += sum(span.size_bytes for span in spans)
            needed_bytes += copy.needed_bytes
        return Cost(requests_count, received_bytes, needed_bytes)

    def fetch(self, day: date) -> DayFiles:
        """Fetch what is missing of the ready `day`; where it is rewritten meanwhile, list it again, once.

        Raises `FileChangedError` where that does not help, `BadInputError` for a file that is not Parquet,
        `WarehouseError` where the disk does not take it, and as `Bucket.part`.
        """
        try:
            return self._fetch_day(day)
        except FileChangedError:
            self.forget()
        return self._fetch_day(day)

    def _fetch_day(self, day: date) -> DayFiles:
        files = self.days(day, day)[0].get(day)
        if files is None:
            raise FileChangedError(self.bucket.place(f"{TRANSACTIONS}/date={day}/"), "no file of the whole day")
        for file in files.all:
            self._fetch(file)
        self._drop_others(files)
        return files

    def forget(self) -> None:
        """List again when files are wanted next."""
        with self._lock:
            self._listed.clear()
            self._pruned.clear()

    def read(self, paths: Sequence[Path], rows: Callable[[Sequence[Path]], Read]) -> Read:
        """The `rows` of copies. Raises `BadInputError` after it has removed those that are not as they were written."""
        for path in paths:
            if path not in self._checked and not path.stem.endswith(sha256_of(path)[:DIGEST_CHARACTERS]):
                path.unlink(missing_ok=True)
                raise BadInputError(
                    str(path), "other bytes than were written", "a copy of the lake's columns", "run again to fetch it"
                )
            self._checked.add(path)
        try:
            return rows(paths)
        except BadInputError:
            for path in paths:
                path.unlink(missing_ok=True)
            raise

    def _files(self, table: str, first_year: int, last_year: int) -> Iterator[LakeFile]:
        for year in range(first_year, last_year + 1):
            prefix = f"{table}/date={year:04d}-"
            with self._lock:
                if prefix not in self._listed:
                    self._listed[prefix] = self.bucket.files(prefix)
                listed = self._listed[prefix]
            yield from listed

    def _of(self, file: LakeFile) -> Pruned:
        """What is to be copied of a large file."""
        with self._lock:
            known = self._pruned.get(file)
        if known is None:
            known = self._believed(file, lambda: self._pruned_of(file))
            with self._lock:
                self._pruned[file] = known
        return known

    def _pruned_of(self, file: LakeFile) -> Pruned:
        end_bytes = min(END_OF_FILE_BYTES, file.size_bytes)
        end = self.bucket.part(file, file.size_bytes - end_bytes, end_bytes)
        size = footer_bytes(end)
        if size > file.size_bytes - END_BYTES:
            raise ValueError(f"a footer of {size:,} bytes")
        if size + END_BYTES > len(end):
            end = self.bucket.part(file, file.size_bytes - size - END_BYTES, size + END_BYTES)
        return self._wanted(file, end[-size - END_BYTES : -END_BYTES])

    def _wanted(self, file: LakeFile, footer: bytes) -> Pruned:
        """What is to be copied of a file with this footer. Raises as `Layout.columns` and `pruned`."""
        table = file.key.partition("/")[0]
        return pruned(footer, file.size_bytes, self.layout.columns(table, columns_of(footer)))

    def _copied(self, file: LakeFile, whole: bytes) -> bytes:
        """The copy of a file that was fetched whole. Raises as `_wanted`."""
        size = footer_bytes(whole)
        copy = self._wanted(file, whole[-size - END_BYTES : -END_BYTES])
        parts = (whole[chunk.first : chunk.first + chunk.size_bytes] for chunk in copy.chunks)
        return b"".join((MAGIC, *parts, _ending(copy)))

    def _fetch(self, file: LakeFile) -> None:
        if self.find(file):
            return
        stem = self._stem(file)
        draft = stem.with_suffix(".draft")
        try:
            draft.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if file.size_bytes <= self._whole_file_bytes:
                whole = self.bucket.part(file, 0, file.size_bytes)
                draft.write_bytes(self._believed(file, lambda: self._copied(file, whole)))
            else:
                copy = self._of(file)
                with draft.open("r+b" if draft.exists() else "w+b") as opened:
                    self._fill(opened, file, copy)
            sync(draft)
            draft.replace(stem.with_name(f"{stem.name}-{sha256_of(draft)[:DIGEST_CHARACTERS]}.parquet"))
            sync(stem.parent)
        except OSError as error:
            raise WarehouseError(
                f"{draft}: {error.strerror or error}, expected room for a copy of {file.size_bytes:,} bytes or less; "
                "free space and run again"
            ) from error
        except FileChangedError:
            with suppress(OSError):  # the first error has the reason
                draft.unlink(missing_ok=True)
            raise

    def _fill(self, draft: BinaryIO, file: LakeFile, copy: Pruned) -> None:
        """Append to `draft` what it does not have yet; what is after the last whole range is fetched again."""
        present_bytes = draft.seek(0, 2)
        end = len(MAGIC)
        if present_bytes < end:
            draft.seek(0)
            draft.write(MAGIC)
        for span in ranges(copy.chunks):
            kept_bytes = sum(size for _, size in span.kept)
            if end + kept_bytes > present_bytes:
                content = self.bucket.part(file, span.first, span.size_bytes)
                draft.seek(end)
                draft.writelines(content[at : at + size] for at, size in span.kept)
                draft.flush()
                present_bytes = 0
            end += kept_bytes
        draft.seek(end)
        draft.write(_ending(copy))
        draft.truncate()

    def _believed(self, file: LakeFile, read: Callable[[], Read]) -> Read:
        try:
            return read()
        except ValueError as error:
            raise BadInputError(
                self.bucket.place(file.key),
                str(error),
                f"a Parquet file in the layout {self.layout.name}",
                "check HASHPIVOT_LAKE_LAYOUT, and where HASHPIVOT_LAKE_URL or HASHPIVOT_LAKE_FOLDER leads",
            ) from error

    def _drop_others(self, files: DayFiles) -> None:
        """Remove copies and drafts of other versions of the day."""
        kept = {self.find(file) for file in files.all}
        for table in (BLOCKS, TRANSACTIONS):
            for path in (self.folder / table).glob(f"{files.day}-*"):
                if path not in kept:
                    path.unlink(missing_ok=True)


def _ending(copy: Pruned) -> bytes:
    return b"".join((copy.footer, len(copy.footer).to_bytes(END_BYTES - len(MAGIC), "little"), MAGIC))


def _digest(file: LakeFile) -> str:
    return sha256(f"{file.key} {file.etag} {file.size_bytes}".encode()).hexdigest()[:DIGEST_CHARACTERS]
