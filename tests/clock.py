"""Another time of day for a process: `clock_offset.c`, compiled with an offset, to be preloaded."""

import os
import shutil
import subprocess
from datetime import timedelta
from pathlib import Path


def can_be_set() -> bool:
    """Whether there is a C compiler."""
    return shutil.which("cc") is not None


def preloaded(folder: Path, offset: timedelta) -> str:
    """What `LD_PRELOAD` must say for a clock that is `offset` ahead of this process's; compiles into `folder`."""
    seconds = round(offset.total_seconds())
    source, library = Path(__file__).with_name("clock_offset.c"), folder / f"clock_offset_{seconds}.so"
    definition = f"-DOFFSET_SECONDS=({seconds}L)"
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", definition, "-o", library, source], check=True)
    # The tests themselves may run with another clock, see `make test-at`; the offsets add up.
    return f"{library} {os.environ.get('LD_PRELOAD', '')}".strip()
