"""What every source can do: say what it knows about a range of days, as validated batches."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Final, NamedTuple, Protocol, runtime_checkable

import polars as pl

from schemas.observations import Batch, Notice, Retraction


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is stored of each supplier when a source is read, so that it fetches only what is new.

    `newest_day`: by (supplier, series), the last day that has a value. `newest_height`: by supplier, its highest block.
    `received_at`: by supplier, when the newest batch of it was made, even if that had nothing new. `filings`: by
    supplier, every (CIK, accession) that was looked at, with the day it was filed. `newest_filing_day`: by (supplier,
    CIK), the last day on which amounts were filed. `block_hashes`: by supplier, the hashes of its newest blocks by
    height. A supplier that is not in a mapping has stated nothing.
    """

    newest_day: Mapping[tuple[str, str], date] = field(default_factory=dict)
    newest_height: Mapping[str, int] = field(default_factory=dict)
    received_at: Mapping[str, datetime] = field(default_factory=dict)
    filings: Mapping[str, Mapping[tuple[int, str], date]] = field(default_factory=dict)
    newest_filing_day: Mapping[tuple[str, int], date] = field(default_factory=dict)
    block_hashes: Mapping[str, Mapping[int, str]] = field(default_factory=dict)

    def complete_until(self, supplier: str, series: Iterable[str]) -> date | None:
        """The day up to which every one of `series` is stored, or None where one of them has never been."""
        days = [self.newest_day.get((supplier, name)) for name in series]
        return None if None in days or not days else min(day for day in days if day is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is requested of a source: days from `since` (None: as far back as it goes) to `through`, both included.

    `now` is the one clock reading of the run; it becomes `observed_at`. A source may yield more than requested. Where
    `since` is None, a source that costs something uses `known` to fetch only from some days before what is stored, so
    that it sees revisions; how many, and how often it reads everything again, it says in its own docstring. A `since`
    that was given counts as it is, whatever is stored.
    """

    since: date | None
    through: date
    now: datetime
    known: Known = field(default_factory=Known)

    def first_day(self, supplier: str, series: Iterable[str], look_back: timedelta) -> date | None:
        """First day to fetch of `series`, None for all there are, for a source that is read whole once an ISO week.

        The first run of a week fetches everything again; later ones go on from `look_back` before the newest day that
        is stored of every one of the series. A `since` counts as it is.
        """
        if self.since is not None:
            return self.since
        complete_until, received_at = self.known.complete_until(supplier, series), self.known.received_at.get(supplier)
        if complete_until is None or received_at is None:
            return None
        if received_at.isocalendar()[:2] != self.now.isocalendar()[:2]:
            return None
        return min(complete_until, self.through) - look_back


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What a source will cost, if all goes well: requests, and the least seconds that its rate limit makes of them.

    `received_bytes`: 0 where nobody has to care. `own_budget`: it has one of its own, so that its requests do not count
    against that of the run.
    """

    requests_count: int
    seconds: float
    received_bytes: int = 0
    own_budget: bool = False


class Source(Protocol):
    """One outside system.

    `observe` yields batches that are already checked, and notices about what it left alone. It raises
    `TransientError` where another try may help and `BadInputError` where what it read cannot be believed; library
    errors never leave a source. What was yielded before an error is stored, so a batch leaves as soon as it is whole.
    """

    @property
    def name(self) -> str:
        """Short name for logs and profiles: files, simulated, ..."""
        ...

    def observe(self, request: Request) -> Iterator[Batch | Notice | Retraction]:
        """Yield what the source says, oldest first within a table; a retraction before what takes its place."""
        ...


SHARDS_AT_ONCE: Final = 4
"""Threads of one run that read shards of a source; they share its connections."""


class Shard(NamedTuple):
    """A range of heights, both ends included, that can be read without any other."""

    first: int
    last: int

    def __str__(self) -> str:
        return f"{self.first}..{self.last}"

    @property
    def title(self) -> str:
        """The range in words."""
        return f"blocks {self.first:,} to {self.last:,}"


class DayShard(Shard):
    """A range of days, by their ordinals."""

    __slots__ = ()

    def __str__(self) -> str:
        return f"{date.fromordinal(self.first)}..{date.fromordinal(self.last)}"

    @property
    def title(self) -> str:
        """The range in words."""
        first, last = date.fromordinal(self.first), date.fromordinal(self.last)
        return f"day {first}" if first == last else f"days {first} to {last}"


@runtime_checkable
class Sharded(Source, Protocol):
    """A source of which some of the work can be done at once and in any order, before it is observed.

    What a shard gave stays where `observe` finds it. `observe` reads what is missing, so that shards only save time.
    """

    def shards(self, request: Request) -> Sequence[Shard]:
        """What is left to read. Raises as `observe`."""
        ...

    def read(self, shard: Shard) -> None:
        """Read one shard; reading it twice does no harm. `SHARDS_AT_ONCE` threads may do so. Raises as `observe`."""
        ...


@runtime_checkable
class Closable(Protocol):
    """A source that holds connections."""

    def close(self) -> None:
        """Close them; threads that still read get an error at their next request."""
        ...


@runtime_checkable
class Planned(Source, Protocol):
    """A source that estimates what it will cost before its first request."""

    def plan(self, request: Request) -> Estimate:
        """The cost of `observe(request)`; makes no request."""
        ...


@runtime_checkable
class Probed(Source, Protocol):
    """A source that can be tested with one request."""

    def probe(self) -> str:
        """Make one cheap request and say in a few words what came back. Raises as `observe`."""
        ...


@runtime_checkable
class Advised(Probed, Protocol):
    """A source that works and could be set up better."""

    def advice(self) -> str:
        """What to change and what that gives, '' for nothing; after `probe`, at the price of few requests."""
        ...


@runtime_checkable
class Labelled(Source, Protocol):
    """A source whose observations depend on labels of ours, and that can make them anew with others."""

    label_set: str
    """Version of the present labels."""
    labels: pl.DataFrame
    """Their rows, in the shape of `schemas.labels.LABEL`."""

    def relabel(self, now: datetime) -> Iterator[Batch | Notice]:
        """What it has stated with other labels, as the present ones have it. Fetches nothing. Raises as `observe`."""
        ...

    def adopt(self) -> None:
        """Go on from where the last `relabel` ended. The caller stores its batches with it, or none of them."""
        ...
