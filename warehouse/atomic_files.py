"""Files that are written whole or not at all, links that move in one step, and the digest of a file.

After a kill or a loss of power there is the old content or the new one, never a part of either; what remains of the
attempt is a hidden draft, `.<name>.next`, that the next attempt overwrites.
"""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4


@contextmanager
def whole_file(path: Path, *, shared: bool = False) -> Iterator[Path]:
    """Yield the path of a draft to write; without an exception the draft, once on the disk, replaces `path`.

    The file keeps the permissions of the one it replaces. `shared` gives the draft a unique name, for files that
    several processes or threads may write at once; the last one to finish wins. Raises `OSError` where the disk
    refuses; then, and after an exception of the caller, `path` is as it was.
    """
    draft = _draft_of(path, f".{uuid4().hex}" if shared else "")
    try:
        yield draft
        if path.exists():
            draft.chmod(path.stat().st_mode)
        sync(draft)
        draft.replace(path)
        sync(path.parent)
    except BaseException:
        with suppress(OSError):  # the first error has the reason
            draft.unlink(missing_ok=True)
        raise


def write_whole(path: Path, content: bytes, *, shared: bool = False) -> None:
    """Write `content` to `path` as `whole_file` does."""
    with whole_file(path, shared=shared) as draft:
        draft.write_bytes(content)


def switch_link(link: Path, target: Path) -> None:
    """Make `link` point at `target` in one step, whatever file or link stood there before."""
    draft = _draft_of(link)
    draft.unlink(missing_ok=True)
    draft.symlink_to(target)
    draft.replace(link)


def sync(path: Path) -> None:
    """Force a file, or the entries of a folder, to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_tree(folder: Path) -> None:
    """Force every file of the tree, then its folders, to the disk."""
    for path in sorted(folder.rglob("*"), reverse=True):
        sync(path)
    sync(folder)


def sha256_of(path: Path) -> str:
    """SHA-256 of the content of a file, in hexadecimal, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _draft_of(path: Path, unique: str = "") -> Path:
    return path.with_name(f".{path.name}{unique}.next")
