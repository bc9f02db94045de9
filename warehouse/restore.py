"""From a backup to a home, whole or not at all, whatever ends the process meanwhile."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from schemas.errors import WarehouseError
from warehouse.atomic_files import sync, sync_tree
from warehouse.backup import Contents, read_backup
from warehouse.statements import one_line

DRAFT_NAME: Final = ".restoring"
"""Folder in the home with what was restored so far; nothing reads it."""
READY_NAME: Final = ".restored"
"""The same once it is whole, checked and on the disk: from then on it is moved to its place, however often it takes."""


def restore_backup(archive: Path, home: Path, parts: Sequence[Path]) -> Contents:
    """Restore `archive` into `home`, where none of `parts`, which backups are made of, may be.

    The lock of the home is the caller's. Raises `WarehouseError` for a home with data, a backup that is not whole or
    of a newer version, and a disk that refuses; the home is as it was then.
    """
    finish_restore(home)
    _refuse_data(parts)
    draft = home / DRAFT_NAME
    try:
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        contents = read_backup(archive, into=draft)
        for link, target in contents.links.items():
            (draft / link).symlink_to(target)
        _refuse_data([home / part.name for part in draft.iterdir()])
        sync_tree(draft)
        draft.rename(home / READY_NAME)
        sync(home)
    except OSError as error:
        raise WarehouseError(
            f"{archive}: found {one_line(error)!r}, expected to read it and to write to {home}; nothing is restored, "
            "free space or fix permissions and try again"
        ) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    finish_restore(home)
    return contents


def finish_restore(home: Path) -> None:
    """Move what a restore has made ready to its place; a kill may have ended it there. Without one, do nothing."""
    ready = home / READY_NAME
    if not ready.is_dir():
        return
    for part in sorted(ready.iterdir()):
        part.rename(home / part.name)
    ready.rmdir()
    sync(home)


def _refuse_data(parts: Sequence[Path]) -> None:
    """Raise `WarehouseError` for the first of `parts` that is there; an empty folder is no data."""
    for part in parts:
        if part.is_symlink() or part.is_file() or (part.is_dir() and any(part.iterdir())):
            raise WarehouseError(
                f"{part}: found data, expected a home without any; move it away, or restore into another home"
            )
