"""What one of several readers of a source may use, so that all of them together use no more than one run may.

Readers are threads of processes on this machine or on others, each of which reads one shard at a time. Their number is
fixed before the first begins. Each has an equal part of the pace and of the connections; of a budget each takes small
parts as it needs them, since shards cost different amounts.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from flows.sources.protocol import SHARDS_AT_ONCE

PARTS_COUNT: Final = 256
"""Of a budget. A reader takes one part at a time; at the very end others may lack what it has not spent."""


class SharedBudget:
    """A budget as empty files in a folder that all readers see, each named after a part: who removes one may spend it.

    A file can be removed once, also on a disk that several machines share. What a reader that was killed had taken
    counts as spent, so that the sum is never more than the whole.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @classmethod
    def divided(cls, folder: Path, whole_count: int) -> Self:
        """A budget of `whole_count` in a new `folder`. Raises `OSError` where the folder cannot be made."""
        folder.mkdir(mode=0o700, parents=True)
        budget = cls(folder)
        for number in range(PARTS_COUNT):
            budget.give_back(whole_count * (number + 1) // PARTS_COUNT - whole_count * number // PARTS_COUNT)
        return budget

    def take(self) -> int:
        """How much may be spent now; 0 where nothing is left."""
        for path in self._parts():
            with suppress(FileNotFoundError):  # another reader was faster
                path.unlink()
                return _count_of(path)
        return 0

    def give_back(self, count: int) -> None:
        """Let others spend `count` that was taken and is not needed."""
        if not count:
            return
        with suppress(FileNotFoundError):  # the run is over
            handle, _ = tempfile.mkstemp(prefix=f"{count}-", dir=self._folder)
            os.close(handle)

    def left(self) -> int:
        """How much nobody has taken."""
        return sum(_count_of(path) for path in self._parts())

    def _parts(self) -> Iterator[Path]:
        with suppress(FileNotFoundError):  # the run is over
            yield from self._folder.iterdir()


def _count_of(part: Path) -> int:
    return int(part.name.partition("-")[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What a process may use of a source. By default the whole, as the only one that reads.

    `readers_count`: how many readers there are in all processes. `threads_count`: how many of them are threads of this
    process. `requests`: the request budget that it takes its own from, None where the run has its budget for itself.
    """

    readers_count: int = 1
    threads_count: int = SHARDS_AT_ONCE
    requests: SharedBudget | None = None

    @property
    def is_whole(self) -> bool:
        """Whether no other process reads."""
        return self.readers_count == 1 and self.requests is None

    def of(self, most_count: int) -> int:
        """The part of things that exist `most_count` times, such as connections; one at least."""
        return max(1, most_count // self.readers_count)


WHOLE: Final = Share()
