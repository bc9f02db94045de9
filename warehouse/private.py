"""A home belongs to one user: nobody else enters it, and what readers are led to is written by nobody.

A group may read publications where the owner has opened the home to it by hand (`chgrp GROUP HOME; chmod 710 HOME`).
"""

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PUBLISHED_NAMES: Final = frozenset({"published", "rebuilt"})
"""Entries of a home that readers are led to."""
OWN_FOLDERS: Final = PUBLISHED_NAMES | {"prefect", "warehouse", "web"}
"""Folders of a home that hashpivot writes. In a home with others, its own files are these:"""
OWN_FILES: Final = frozenset({"alerts.json", "alerts.lock", "clock.json", "run.lock"})
UMASK: Final = 0o077
FOLDER_MODE: Final = 0o700
PUBLISHED_FILE_MODE: Final = 0o444
"""A reader that could open the published file to write would keep all others out, and could change it."""
OPENED_HOME_MODE: Final = 0o710
OPENED_FOLDER_MODE: Final = 0o750


@dataclass(frozen=True, slots=True)
class _Entry:
    path: Path
    mode: int
    wanted_mode: int
    gid: int | None = None
    """Group that may read, if any."""


def create_private() -> None:
    """Let this process and those it starts create files and folders for their user alone."""
    os.umask(UMASK)


def make_private_home(home: Path) -> None:
    """Make the folder `home`, or close the one that exists to others. Raises `OSError` where it cannot be made.

    A folder that holds folders of others, or where every user may write, stays as it is: somebody may depend on that.
    """
    create_private()
    home.mkdir(parents=True, exist_ok=True)
    (entry,) = _home_entry(home)
    if not _is_shared(entry):
        _restrict(entry)


def keep_private(home: Path) -> None:
    """Give every file and folder that hashpivot wrote in `home` its permissions, however it was made."""
    for entry in _entries(home):
        if entry.mode != entry.wanted_mode or entry.gid is not None:
            _restrict(entry)


def open_to_others(home: Path) -> list[Path]:
    """Folders and files of `home` that other users may read or write and should not, `home` itself included."""
    found = [*_home_entry(home), *_entries(home)]
    return [entry.path for entry in found if entry.mode & ~entry.wanted_mode & 0o077 or entry.mode & 0o022]


def protect_version(draft: Path, folder: Path) -> None:
    """Let nobody write the files of a `draft`, and those read them who may read `folder`, which will hold it."""
    facts = folder.stat()
    for path in [draft, *draft.rglob("*")]:
        if path.is_dir():
            _restrict(_Entry(path, 0, stat.S_IMODE(facts.st_mode), facts.st_gid))
        else:
            path.chmod(PUBLISHED_FILE_MODE)


def _home_entry(home: Path) -> Iterator[_Entry]:
    mode = stat.S_IMODE(home.stat().st_mode)
    yield _Entry(home, mode, mode if mode == OPENED_HOME_MODE else FOLDER_MODE)


def _is_shared(home: _Entry) -> bool:
    folders = {each.name for each in home.path.iterdir() if each.is_dir() and not each.name.startswith(".")}
    return bool(home.mode & stat.S_ISVTX) or not folders <= OWN_FOLDERS


def _entries(home: Path) -> Iterator[_Entry]:
    """Everything of ours below `home`; drafts belong to whoever writes them now."""
    facts = home.stat()
    readers_gid = facts.st_gid if stat.S_IMODE(facts.st_mode) == OPENED_HOME_MODE else None
    (itself,) = _home_entry(home)
    is_shared = _is_shared(itself)
    for path in sorted(home.iterdir()):
        if path.name in OWN_FOLDERS | OWN_FILES or (not is_shared and path.is_file()):
            yield from _below(path, readers_gid, is_published=path.name in PUBLISHED_NAMES)


def _below(path: Path, readers_gid: int | None, *, is_published: bool) -> Iterator[_Entry]:
    with suppress(FileNotFoundError):  # another process removed it just now
        mode = path.lstat().st_mode
        if stat.S_ISDIR(mode):
            gid = readers_gid if is_published else None
            yield _Entry(path, stat.S_IMODE(mode), FOLDER_MODE if gid is None else OPENED_FOLDER_MODE, gid)
            for entry in path.iterdir():
                if not (is_published and entry.name.startswith(".")):
                    yield from _below(entry, readers_gid, is_published=is_published)
        elif stat.S_ISREG(mode):
            wanted_mode = PUBLISHED_FILE_MODE if is_published else stat.S_IMODE(mode) & FOLDER_MODE
            yield _Entry(path, stat.S_IMODE(mode), wanted_mode)


def _restrict(entry: _Entry) -> None:
    # Some disks have no permissions, and a file of another user is not ours to change; `doctor` reports both.
    with suppress(OSError):
        if entry.gid is not None and entry.path.stat().st_gid != entry.gid:
            os.chown(entry.path, -1, entry.gid)
        entry.path.chmod(entry.wanted_mode)
