"""The block lake as a source: blocks of whole days, and what they move from miners to exchanges."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Final

import polars as pl

from flows.sources.lake.chain import Chain, linked
from flows.sources.lake.copies import Copies, DayCopies, DayFiles
from flows.sources.lake.kind import LAKE, MAX_BYTES_SETTING
from flows.sources.lake.layout import BLOCKS, TRANSACTIONS
from flows.sources.lake.rows import headers
from flows.sources.lake.walk import LakeWalk
from flows.sources.lake.walked import Walked, WalkedDays, changed
from flows.sources.node.checkpoints import Checkpoint, Checkpoints
from flows.sources.node.label_sets import exchanges_by_day, label_set_after
from flows.sources.protocol import DayShard, Estimate, Request, Shard
from flows.sources.web.usage import OwnBudget
from flows.sources.whole_blocks import flow_batches
from schemas.errors import SettingsError, WarehouseError
from schemas.miner_set import MinerSet
from schemas.observations import Batch, Notice
from transforms.attribution.pool_names import PoolNames
from warehouse.miner_set import load_miner_set

ONE_DAY: Final = timedelta(days=1)
ONE_WEEK: Final = timedelta(days=7)
FIRST_DAYS_COUNT: Final = 30
"""Days that a first run reads by default: sums of thirty days need 27 of them whole, and the first and last are not."""
LOOK_BACK: Final = timedelta(days=30)
"""How far back a run looks for days that were rewritten since they were read."""
USUAL_DAY_BYTES: Final = 97_000_000
USUAL_DAY_REQUESTS: Final = 42
"""Of a day of 2024: ranges of six columns in five to seven row groups, and the footer."""
LISTINGS_BYTES: Final = 50_000_000
"""For listings and footers, beside what is fetched of the files."""
INDEX_DAYS: Final = 730
"""Days that the Miners' Position Index rests on."""
RANK_DAYS: Final = 209
DAYS_A_YEAR: Final = 365
GIGABYTE: Final = 10**9


@dataclass(frozen=True, slots=True)
class Plan:
    """What one run reads: `days` in their versions, from the checkpoint on, or from the first with an empty set.

    `first`: first day of the walk; `walked`: what was walked before.
    """

    first: date
    days: Mapping[date, DayFiles]
    checkpoint: Checkpoint | None
    walked: Walked | None
    notices: tuple[str, ...]


class Lake:
    """Blocks of a lake from where the last run ended, day by day.

    Each file that is needed is copied first, its wanted columns only, and then read: the copies of a day are all that
    its flows are made from, so that a run that was killed, and one that follows a rewritten day, fetch only what they
    do not have. A day counts for another version where any of its files is; from the newest miner set before it on,
    all days are attributed again. Without `since` a first run reads `FIRST_DAYS_COUNT` days, later ones what is new and
    what was rewritten in the `LOOK_BACK`. A `since` before the first day that was read begins anew there, with one day
    more on either side, so that the days of the request are whole.
    """

    name = LAKE.name

    def __init__(
        self,
        copies: Copies,
        checkpoints: Checkpoints,
        pools: PoolNames,
        labels: tuple[str, pl.DataFrame],
        *,
        chain: str,
        max_bytes: int,
    ) -> None:
        self._copies, self._checkpoints, self._pools = copies, checkpoints, pools
        self.label_set, self.labels = labels
        self._exchanges_on = exchanges_by_day(labels[1])
        self._chain, self._max_bytes = chain, max_bytes
        self._walked = WalkedDays(checkpoints.folder / "walked.json")
        self._counted: Mapping[date, DayFiles] = {}
        self._allowed_count = 0

    def plan(self, request: Request) -> Estimate:
        """Days of a usual size, those that are wanted and not copied yet; makes no request."""
        walked = self._walked.read()
        first, last = self._wanted(request, walked)
        if request.since is None and walked is not None:
            first = max(walked.versions, default=first)
        days = [first + n * ONE_DAY for n in range((request.through - first).days + 1)]
        count = sum(not self._copies.has(day) for day in days)
        requests_count = 2 * (last.year - first.year + 1) + USUAL_DAY_REQUESTS * count
        return Estimate(
            requests_count=requests_count,
            seconds=requests_count * self._copies.bucket.spacing_seconds,
            received_bytes=USUAL_DAY_BYTES * count,
            own_budget=True,
        )

    def probe(self) -> str:
        """The newest day whose files are whole; lists a year. Raises as `Bucket.files`."""
        today = datetime.now(UTC).date()
        ready, _ = self._copies.days(today - ONE_WEEK, today)
        newest = f"newest whole day {max(ready)}" if ready else f"no whole day since {today - ONE_WEEK}"
        return f"{self._copies.bucket.place('')}: {newest}"

    def shards(self, request: Request) -> list[DayShard]:
        """Days that are to be copied. Raises as `observe`."""
        days = self._plan(request).days
        return [
            DayShard(day.toordinal(), day.toordinal())
            for day, files in days.items()
            if not self._copies.is_whole(files)
        ]

    def read(self, shard: Shard) -> None:
        """Copy the days of `shard`. Raises as `Copies.fetch`."""
        self._allow(shard.last - shard.first + 1)
        for ordinal in range(shard.first, shard.last + 1):
            self._copies.fetch(date.fromordinal(ordinal))

    def observe(self, request: Request) -> Iterator[Batch | Notice]:
        """Yield flows and blocks, a day at a time, the flows before their blocks.

        Raises `SettingsError` where it would fetch more than `HASHPIVOT_LAKE_MAX_BYTES`, before the first of it, and as
        `Copies.fetch`.
        """
        plan = self._plan(request)
        yield from map(self._notice, plan.notices)
        if plan.days:
            yield from self._walk(plan, request)
        walked = self._walked.read()
        if walked is not None:
            yield from self._too_few(walked)

    def relabel(self, now: datetime) -> Iterator[Batch | Notice]:
        """The flows of all days that were read, with the present labels, out of the copies; makes no request.

        Raises `WarehouseError` where no day was read or a copy is no longer there, and as `LakeWalk.days`.
        """
        days = self._kept_days()
        chain = self._linked(days)
        walk, miners = self._walk_over(chain, days), MinerSet()
        wanted = {kept.height for kept in self._checkpoints.newest_first()}
        self._checkpoints.drop_staged()
        for day in walk.days(miners):
            yield from flow_batches(LAKE.name, day.flows, self.label_set, self._copies.bucket.place(""), now)
            if miners.height in wanted:
                self._checkpoints.stage(miners, self.label_set)

    def adopt(self) -> None:
        """Go on from the miner sets of the last `relabel`."""
        self._checkpoints.adopt_staged()

    def _kept_days(self) -> dict[date, DayCopies]:
        """The copies of all days that were read. Raises `WarehouseError` where there are none, or not all of them."""
        walked = self._walked.read()
        if walked is None or not walked.versions:
            raise WarehouseError(
                f"{self._checkpoints.folder}: found no day that was read, expected those of a run; "
                "run `hashpivot daily`"
            )
        found = {day: self._copies.of_version(day, version) for day, version in sorted(walked.versions.items())}
        kept = {day: copies for day, copies in found.items() if copies is not None}
        if len(kept) < len(found):
            missing = [day for day in found if day not in kept]
            raise WarehouseError(
                f"{self._copies.folder}: found no copies of {len(missing)} days from {missing[0]} to {missing[-1]}, "
                "expected those of all days that were read; run `hashpivot daily`, and where that does not help "
                f"remove {self._checkpoints.folder} and run `hashpivot backfill --from {walked.first + ONE_DAY}`, "
                "which fetches them and attributes all days anew"
            )
        return kept

    def _walk(self, plan: Plan, request: Request) -> Iterator[Batch | Notice]:
        days, chain = self._read_days(plan)
        while plan.checkpoint is not None and (miners := self._miners_at(plan.checkpoint, chain)) is None:
            plan.checkpoint.path.unlink(missing_ok=True)
            plan = self._plan(request)
            days, chain = self._read_days(plan)
        label_set = self.label_set
        if plan.checkpoint is not None and plan.walked is not None and miners is not None:
            before, walked = plan.checkpoint, plan.walked
            label_set = label_set_after(self.label_set, before.label_set, before.height)
            if label_set != before.label_set:
                yield self._notice(
                    f"labels changed from {before.label_set} to {self.label_set}: the new ones apply from block "
                    f"{before.height + 1:,} on; `hashpivot relabel` attributes the blocks below with them"
                )
        else:
            miners, walked = MinerSet(), self._begin(plan.first)
        for hole in chain.holes:
            if miners.height is None or hole.last > miners.height:
                yield self._notice(f"{hole}; flows of the days around are not stated: blocks that are not in the lake")
        walk = self._walk_over(chain, {day: self._copies.of(files) for day, files in days.items()})
        for day in walk.days(miners):
            yield from day.batches(label_set, self._copies.bucket.place(""), request.now)
            for hole in day.holes:
                yield self._notice(f"{day.day}, {hole}; flows of the day are not stated: blocks that do not add up")
            if day.is_over:
                self._checkpoints.save_when_due(miners, label_set, walk.tip_height)
                walked.ends[day.day] = day.last_height
                walked.versions |= {each: files.version for each, files in days.items() if each < day.day}
                self._walked.write(walked)
        walked.versions |= {each: files.version for each, files in days.items()}
        self._walked.write(walked)

    def _wanted(self, request: Request, walked: Walked | None) -> tuple[date, date]:
        """First and last file to look at. Blocks around midnight may be in the file of the day before or after."""
        last = request.through + ONE_DAY
        if request.since is not None:
            return request.since - ONE_DAY, last
        if walked is not None:
            return walked.first, last
        return request.through - (FIRST_DAYS_COUNT - 1) * ONE_DAY, last

    def _plan(self, request: Request) -> Plan:
        """What to read, after a check that it may be fetched. Raises as `observe`."""
        walked = self._walked.read()
        first, last = self._wanted(request, walked)
        if walked is not None:
            last = max(last, *walked.versions, walked.first)
        is_new = walked is None or first < walked.first
        look_from = first if request.since is not None else max(first, request.through - LOOK_BACK)
        self._allow((last - first).days + 1)
        ready, unready = self._copies.days(first if is_new or walked is None else walked.first, last)
        notices = [
            f"the files of {day} are not read yet: {why}"
            for day, why in unready.items()
            if day < max(ready, default=day)
        ]
        if not ready:
            notices.append(_nothing(first, last, unready))
        checkpoint = None
        if walked is not None and not is_new:
            first = walked.first
            versions = {day: files.version for day, files in ready.items()}
            to_read = changed(walked, versions, look_from)
            notices += _older(walked, versions, look_from)
            if not to_read:
                return Plan(first, {}, None, walked, tuple(notices))
            checkpoint = self._checkpoint_before(to_read[0], walked)
        from_day = first if checkpoint is None or walked is None else _day_of(checkpoint, walked)
        days = {day: files for day, files in ready.items() if day >= from_day}
        self._check_cost(days)
        return Plan(first, days, checkpoint, walked, tuple(notices))

    def _allow(self, days_count: int) -> None:
        """Let this process use what `days_count` days may cost; never less than a plan before."""
        self._allowed_count = max(self._allowed_count, days_count)
        self._copies.bucket.allow(
            OwnBudget(
                requests_count=self._copies.layout.most_requests_a_day * (self._allowed_count + 1),
                received_bytes=self._max_bytes + LISTINGS_BYTES,
                setting=MAX_BYTES_SETTING,
            )
        )

    def _checkpoint_before(self, day: date, walked: Walked) -> Checkpoint | None:
        """The newest miner set at the end of a day before `day`; blocks of its file are on that day or later."""
        heights = {height for ended, height in walked.ends.items() if ended < day}
        return next((kept for kept in self._checkpoints.newest_first() if kept.height in heights), None)

    def _check_cost(self, days: Mapping[date, DayFiles]) -> None:
        """Report what is to be fetched. Raises `SettingsError` where that is more than is allowed."""
        missing = {day: files for day, files in days.items() if not self._copies.is_whole(files)}
        if not missing or missing == self._counted:
            return
        cost = self._copies.cost(missing.values())
        line = (
            f"{len(missing)} days of the lake from {min(missing)} to {max(missing)}: {cost.requests_count:,} requests, "
            f"{cost.received_bytes / GIGABYTE:,.2f} GB to fetch, {MAX_BYTES_SETTING} allows "
            f"{self._max_bytes / GIGABYTE:,.2f} GB"
        )
        self._copies.bucket.report(line)
        if cost.received_bytes > self._max_bytes:
            raise SettingsError(
                MAX_BYTES_SETTING,
                self._max_bytes,
                f"at least {cost.received_bytes:,} for {len(missing)} days from {min(missing)} to {max(missing)}",
                "raise it, or request fewer days",
            )
        self._counted = missing

    def _begin(self, first: date) -> Walked:
        """Forget miner sets of a walk before, whose coinbases would be others."""
        for kept in self._checkpoints.newest_first():
            kept.path.unlink(missing_ok=True)
        return self._walked.begin(first)

    def _read_days(self, plan: Plan) -> tuple[dict[date, DayFiles], Chain]:
        """Copy what is missing, and the chain of the blocks."""
        days = {day: self._copies.fetch(day) for day in plan.days}
        return days, self._linked({day: self._copies.of(files) for day, files in days.items()})

    def _linked(self, days: Mapping[date, DayCopies]) -> Chain:
        frames = [
            self._copies.read(copies.blocks, partial(headers, layout=self._copies.layout)).with_columns(
                pl.lit(day).alias("file_day")
            )
            for day, copies in days.items()
        ]
        return linked(self._copies.layout.chained(pl.concat(frames)))

    def _walk_over(self, chain: Chain, days: Mapping[date, DayCopies]) -> LakeWalk:
        return LakeWalk(self._copies, chain, days, self._pools, self._exchanges_on, self._chain)

    def _miners_at(self, checkpoint: Checkpoint, chain: Chain) -> MinerSet | None:
        """The miner set; None where it is damaged or its block is another one now."""
        try:
            miners = load_miner_set(checkpoint.path)
        except WarehouseError:
            return None
        at = chain.blocks.filter(pl.col("height") == checkpoint.height)["hash"].to_list()
        return miners if at in ([], [miners.block_hash]) else None

    def _too_few(self, walked: Walked) -> Iterator[Notice]:
        """What the longest windows would cost, until they are full."""
        count = len(walked.ends)
        if 0 < count < INDEX_DAYS:
            missing = INDEX_DAYS - count
            first = min(walked.ends) - missing * ONE_DAY
            yield self._notice(
                f"{count} days of flows are stored; the Miners' Position Index rests on {INDEX_DAYS} of them and ranks "
                f"of flows on {RANK_DAYS}, and both are NULL until then: `hashpivot backfill --from {first}` would "
                f"fetch about {missing * USUAL_DAY_BYTES / GIGABYTE:,.0f} GB, a year of it "
                f"{DAYS_A_YEAR * USUAL_DAY_BYTES / GIGABYTE:,.0f} GB, and needs {MAX_BYTES_SETTING} above that"
            )

    def _notice(self, message: str) -> Notice:
        return Notice(source=LAKE.name, origin=self._copies.bucket.place(""), message=message)


def _day_of(checkpoint: Checkpoint, walked: Walked) -> date:
    return next(day for day, height in walked.ends.items() if height == checkpoint.height)


def _nothing(first: date, last: date, unready: Mapping[date, str]) -> str:
    """A line about a lake that has no whole day, which may be a folder that is laid out in another way."""
    why = f"; {max(unready)} has {unready[max(unready)]}" if unready else ""
    return (
        f"found no whole day from {first} to {last}, expected Parquet of each in {BLOCKS}/date={first}/ and "
        f"{TRANSACTIONS}/date={first}/ and so on{why}"
    )


def _older(walked: Walked, versions: Mapping[date, str], look_from: date) -> list[str]:
    """A line about days before `look_from` that were rewritten since they were read."""
    days = [
        day for day, version in versions.items() if day < look_from and walked.versions.get(day, version) != version
    ]
    if not days:
        return []
    return [
        f"{len(days)} days from {min(days)} to {max(days)} were rewritten since they were read: "
        f"`hashpivot backfill --from {min(days)} --to {max(days)}` reads them again"
    ]
