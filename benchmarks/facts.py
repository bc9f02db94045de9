"""What the contenders must agree on, kept beside the working database. Imports nothing, so that it costs nothing."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """The moment they pretend it is, the last day they publish, and how much there is to read."""

    now: str
    through: str
    block_count: int
    value_count: int
    flow_count: int
    megabytes: float

    def keep(self, home: Path) -> None:
        """Write them under `home`."""
        _path(home).write_text(json.dumps(asdict(self)), encoding="utf-8")


def facts_of(home: Path) -> Facts:
    """The facts of the fixture under `home`."""
    return Facts(**json.loads(_path(home).read_text(encoding="utf-8")))


def _path(home: Path) -> Path:
    return home / "facts.json"
