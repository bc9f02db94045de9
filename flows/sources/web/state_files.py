"""Small files that a source keeps for itself: whole or as they were, and never worth failing for."""

import os
from contextlib import suppress
from pathlib import Path


def write_state_file(path: Path, content: bytes) -> None:
    """Replace the file at `path` in one step; where the disk does not take it, what was there stays.

    Whoever reads it takes a note that is missing or damaged for one that was never written.
    """
    draft = path.with_suffix(f".{os.getpid()}.tmp")
    with suppress(OSError):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft.write_bytes(content)
        draft.replace(path)
