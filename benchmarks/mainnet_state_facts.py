"""What the parts of the benchmark of the main network's size must agree on. It imports nothing."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class StateFacts:
    """The moments of the two runs, and how much there is to read."""

    now: str
    next_now: str
    block_count: int
    transfer_count: int
    next_block_count: int
    megabytes: float

    def keep(self, folder: Path) -> None:
        """Write them under `folder`."""
        _path(folder).write_text(json.dumps(asdict(self)), encoding="utf-8")


def facts_of(folder: Path) -> StateFacts:
    """The facts of the fixture under `folder`."""
    return StateFacts(**json.loads(_path(folder).read_text(encoding="utf-8")))


def _path(folder: Path) -> Path:
    return folder / "facts.json"
