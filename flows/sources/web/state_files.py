"""Small files in which a source keeps state: replaced whole or not at all, and never a reason to fail."""

import os
from contextlib import suppress
from pathlib import Path


def write_state_file(path: Path, content: bytes) -> None:
    """Replace the file at `path` in one step; where the disk does not accept it, the old content stays.

    A reader treats a missing or damaged file as one that was never written.
    """
    draft = path.with_suffix(f".{os.getpid()}.tmp")
    with suppress(OSError):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft.write_bytes(content)
        draft.replace(path)
