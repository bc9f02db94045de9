"""What every source can do: say what it knows about a range of days, as validated batches."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import NamedTuple, Protocol, runtime_checkable

from schemas.observations import Batch, Notice


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is asked of a source: days from `since` (None: as far back as it goes) to `through`, both included.

    `now` is the one clock reading of the run; it becomes `observed_at`. A source may yield more than was asked.
    """

    since: date | None
    through: date
    now: datetime


class Source(Protocol):
    """One outside system.

    `observe` yields batches that are already checked, and notices about what it left alone. It raises
    `TransientError` where another try may help and `BadInputError` where what it read cannot be believed; library
    errors never leave a source.
    """

    @property
    def name(self) -> str:
        """Short name for logs and profiles: files, simulated, ..."""
        ...

    def observe(self, request: Request) -> Iterator[Batch | Notice]:
        """Yield what the source says, oldest first within a table."""
        ...


class Shard(NamedTuple):
    """A range of heights, both ends included, that can be read without any other."""

    first: int
    last: int

    def __str__(self) -> str:
        return f"{self.first}..{self.last}"


@runtime_checkable
class Sharded(Source, Protocol):
    """A source of which some of the work can be done at once and in any order, before it is observed.

    What a shard gave stays where `observe` finds it. `observe` reads what is missing, so that shards only save time.
    """

    def shards(self, request: Request) -> Sequence[Shard]:
        """What is left to read. Raises as `observe`."""
        ...

    def read(self, shard: Shard) -> None:
        """Read one shard; reading it twice does no harm. Raises as `observe`."""
        ...
