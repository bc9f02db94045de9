"""A backup: one tar file with what a home holds that cannot be fetched again; written whole and read back.

Its first member lists the contents with the digest of each file, and has its own digest in its name,
`backup-<SHA-256>.json`; the files follow under their paths in the home. Links are in the list only.
"""

import hashlib
import os
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from datetime import datetime
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import IO, Final

import msgspec

from schemas.errors import WarehouseError
from warehouse.atomic_files import sha256_of, whole_file
from warehouse.statements import one_line
from warehouse.working import known_migrations, open_working

FORMAT_VERSION: Final = 1
LEFT_OUT_SUFFIXES: Final = (".tmp",)
"""What DuckDB keeps on the disk during a statement. Drafts, whose names begin with a dot, are left out too."""
PIECE_BYTES: Final = 1 << 20
MOST_MODE: Final = 0o644


class File(msgspec.Struct, frozen=True, kw_only=True):
    """One file: its path in the home, size, SHA-256, permissions, and time of its last change in ns since 1970."""

    path: str
    bytes: int
    sha256: str
    mode: int
    modified_ns: int


class Contents(msgspec.Struct, frozen=True, kw_only=True):
    """What a backup holds. `migrations`: of the working database; `links`: target by path in the home."""

    format_version: int
    made_at: datetime
    hashpivot_version: str
    migrations: tuple[str, ...]
    files: tuple[File, ...]
    links: dict[str, str]

    def by_part(self) -> dict[str, tuple[int, int]]:
        """Number of files and bytes by file or folder directly in the home."""
        parts: dict[str, tuple[int, int]] = {}
        for file in self.files:
            part = PurePosixPath(file.path).parts[0]
            count, size_bytes = parts.get(part, (0, 0))
            parts[part] = (count + 1, size_bytes + file.bytes)
        return parts


def write_backup(
    home: Path, parts: Sequence[Path], destination: Path, *, working: Path, made_at: datetime, hashpivot_version: str
) -> tuple[Path, Contents]:
    """Copy the `parts` of `home`, files and folders, to the file `destination`, or to a new file in that folder.

    The lock of the home is the caller's. Returns the file and what it holds. Raises `WarehouseError` where there is
    nothing to copy, the file exists, or it cannot be written whole; nothing is left of it then.
    """
    path = destination / f"hashpivot-{made_at:%Y%m%dT%H%M%SZ}.tar" if destination.is_dir() else destination
    if path.exists():
        raise WarehouseError(f"{path}: found a file, expected a new name; name another file, or a folder")
    if path.resolve().is_relative_to(home.resolve()):
        raise WarehouseError(f"{path}: found a place inside the home {home}, expected one outside, which outlives it")
    migrations = _settled(working) if working.exists() else ()
    files, links = _found(home, parts)
    if not files:
        raise WarehouseError(f"{home}: found nothing to back up, expected the files of a run; name another home")
    contents = Contents(
        format_version=FORMAT_VERSION,
        made_at=made_at,
        hashpivot_version=hashpivot_version,
        migrations=migrations,
        files=files,
        links=links,
    )
    try:
        with whole_file(path) as draft:
            draft.unlink(missing_ok=True)
            draft.touch(mode=0o600)
            _write(draft, home, contents)
            read_backup(draft)
    except OSError as error:
        size_bytes = sum(file.bytes for file in files)
        raise WarehouseError(
            f"{path}: found {one_line(error)!r}, expected room for {size_bytes:,} bytes; nothing of it is left, "
            "free space or fix permissions and try again"
        ) from error
    return path, contents


def read_backup(archive: Path, into: Path | None = None) -> Contents:
    """Compare every file of a backup with its digest and return what it holds; write the files below `into`, if given.

    Raises `WarehouseError` for a file that is no backup, is damaged or cut off, or cannot be written.
    """
    try:
        with tarfile.open(archive, "r:") as tar:
            contents = _contents(archive, tar)
            for file in contents.files:
                member = tar.next()
                source = tar.extractfile(member) if member and member.name == file.path and member.isreg() else None
                if source is None:
                    raise WarehouseError(f"{archive}: found its end or another file, expected {file.path}; {_USELESS}")
                if _copied(source, file, into) != file.sha256:
                    raise WarehouseError(
                        f"{archive}: found another digest of {file.path}, expected its own; {_USELESS}"
                    )
            return contents
    except (tarfile.TarError, msgspec.MsgspecError) as error:
        raise WarehouseError(f"{archive}: found {one_line(error)!r}, expected a whole backup; {_USELESS}") from error


_USELESS: Final = "it is damaged or no backup, use another one"


def _settled(working: Path) -> tuple[str, ...]:
    """Bring what a killed run has left beside the working database into it; return the names of its migrations."""
    with open_working(working, migrating=False) as connection:
        connection.execute("checkpoint")
        return tuple(name for (name,) in connection.execute("select name from migration order by name").fetchall())


def _found(home: Path, parts: Sequence[Path]) -> tuple[tuple[File, ...], dict[str, str]]:
    files, links = {}, {}
    for part in parts:
        for path in [part, *sorted(part.rglob("*"))]:
            name = path.relative_to(home)
            if any(each.startswith(".") or each.endswith(LEFT_OUT_SUFFIXES) for each in name.parts):
                continue
            if path.is_symlink():
                links[name.as_posix()] = str(path.readlink())
            elif path.is_file():
                state = path.stat()
                files[name.as_posix()] = File(
                    path=name.as_posix(),
                    bytes=state.st_size,
                    sha256=sha256_of(path),
                    mode=state.st_mode & MOST_MODE,
                    modified_ns=state.st_mtime_ns,
                )
    return tuple(files.values()), links


def _write(draft: Path, home: Path, contents: Contents) -> None:
    with tarfile.open(draft, "w") as tar:
        listed = msgspec.json.format(msgspec.json.encode(contents))
        _add(tar, _name_of(listed), len(listed), BytesIO(listed), contents.made_at.timestamp())
        for file in contents.files:
            with (home / file.path).open("rb") as source:
                _add(tar, file.path, file.bytes, source, file.modified_ns / 1e9)


def _name_of(listed: bytes) -> str:
    return f"backup-{hashlib.sha256(listed).hexdigest()}.json"


def _add(tar: tarfile.TarFile, name: str, size_bytes: int, source: IO[bytes], modified_at: float) -> None:
    """Add a member; size, permissions and time are for those who look at the file with another program."""
    member = tarfile.TarInfo(name)
    member.size, member.mode, member.mtime = size_bytes, 0o600, int(modified_at)
    tar.addfile(member, source)


def _contents(archive: Path, tar: tarfile.TarFile) -> Contents:
    """The list of contents. Raises `WarehouseError` where this version cannot restore it, or it leads out of a home."""
    first = tar.next()
    source = tar.extractfile(first) if first and first.isreg() else None
    listed = source.read() if source else b""
    if first is None or first.name != _name_of(listed):
        raise WarehouseError(f"{archive}: found no list of contents at its beginning, expected one; {_USELESS}")
    contents = msgspec.json.decode(listed, type=Contents)
    newer = sorted(set(contents.migrations) - set(known_migrations()))
    if contents.format_version != FORMAT_VERSION or newer:
        raise WarehouseError(
            f"{archive}: found format {contents.format_version} and {newer or 'known'} migrations of hashpivot "
            f"{contents.hashpivot_version}, expected format {FORMAT_VERSION} and those of this version; "
            "upgrade hashpivot and restore again"
        )
    for path in _paths(contents):
        if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
            raise WarehouseError(f"{archive}: found the path {path!r}, expected one inside a home; {_USELESS}")
    return contents


def _paths(contents: Contents) -> Iterator[str]:
    yield from (file.path for file in contents.files)
    for link, target in contents.links.items():
        yield from (link, target)


def _copied(source: IO[bytes], file: File, into: Path | None) -> str:
    """Read one file to its end, write it where `into` is given, and return its digest."""
    digest = hashlib.sha256()
    with _created(into, file) if into else nullcontext() as target:
        while piece := source.read(PIECE_BYTES):
            digest.update(piece)
            if target:
                target.write(piece)
    if into:
        os.utime(into / file.path, ns=(file.modified_ns, file.modified_ns))
    return digest.hexdigest()


def _created(into: Path, file: File) -> IO[bytes]:
    """A new file that only its owner can write, in folders that only its owner can enter."""
    path = into
    for folder in PurePosixPath(file.path).parts[:-1]:
        path /= folder
        path.mkdir(mode=0o700, exist_ok=True)
    created = os.open(into / file.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    os.fchmod(created, file.mode & MOST_MODE)
    return os.fdopen(created, "wb")
