"""The working database that every contender reads: a simulated chain, stored by the project's own code, with wounds.

Run as `python -m benchmarks.fixture HOME BLOCKS {whole,recent} {days,flows}`: `days` leaves single exchanges out.
"""

import sys
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl

from benchmarks.facts import Facts
from flows.run import plan
from flows.run.plan import Run
from flows.settings import Settings, read_profile
from flows.sources.protocol import Request
from flows.sources.simulated.chain import Simulated
from schemas.observations import Batch, Notice, ObservedTable
from warehouse import vintages
from warehouse.working import open_working

FEWEST_BLOCKS_A_DAY = 120

# NULL rules are compared only where something is missing, and the simulated chain misses nothing. Counted from the end.
LOST_BLOCK = 5_000
LOST_DAYS: dict[str, tuple[int, ...]] = {
    "price_usd": (400, 150, 20),
    "miner_outflow_sat": tuple(range(220, 180, -1)),
    "miner_to_exchange_sat": (*range(220, 180, -1), 60, 59),
    "miner_to_exchange_count": (90,),
}


def whole_chain() -> Simulated:
    """From the first block on."""
    return Simulated.whole_chain()


def recent_chain() -> Simulated:
    """The simulated source as the demo uses it, which begins late and so holds little."""
    return Simulated()


def prepare(home: Path, source: Simulated, block_count: int, *, flows: bool) -> Facts:
    """Store exactly `block_count` blocks of `source` and the days they cover in a new working database under `home`.

    With `flows` also the flows from each pool to each exchange, which are a third of a million rows of their own.
    """
    now = _moment_after(source, block_count + 1)
    request = Request(since=None, through=now.date() - timedelta(days=1), now=now)
    run = run_at(home, now)
    plan.record_start(run)
    counts = dict.fromkeys(ObservedTable, 0)
    with open_working(run.settings.working_database) as connection:
        for batch in source.observe(request):
            if isinstance(batch, Notice) or (batch.table is ObservedTable.EXCHANGE_FLOW and not flows):
                continue
            wounded = replace(batch, rows=_wounded(batch, source, block_count, request.through))
            vintages.append(connection, wounded, run.run_id)
            counts[batch.table] = wounded.rows.height
    facts = Facts(
        now=now.isoformat(),
        through=run.through.isoformat(),
        block_count=counts[ObservedTable.BLOCK],
        value_count=counts[ObservedTable.DAILY_VALUE],
        flow_count=counts[ObservedTable.EXCHANGE_FLOW],
        megabytes=run.settings.working_database.stat().st_size / 1e6,
    )
    facts.keep(home)
    return facts


def run_at(home: Path, now: datetime) -> Run:
    """A run of the demo profile under `home`, with nothing taken from the environment of the person who measures."""
    return plan.plan(Settings(home=home, profile="demo"), read_profile("demo"), now=now)


def _moment_after(source: Simulated, block_count: int) -> datetime:
    """Midday of the day on which block number `block_count` of `source` has been found, at least six blocks before."""
    now = datetime.combine(source.first_day, datetime.min.time(), UTC) + timedelta(
        days=block_count // FEWEST_BLOCKS_A_DAY, hours=12
    )
    request = Request(since=None, through=now.date(), now=now)
    blocks = next(batch.rows for batch in source.observe(request) if isinstance(batch, Batch))
    found_at = blocks["block_at"][block_count]
    return datetime.combine(found_at.date() + timedelta(days=1), datetime.min.time(), UTC) + timedelta(hours=12)


def _wounded(batch: Batch, source: Simulated, block_count: int, through: date) -> pl.DataFrame:
    """The rows of `batch` that are kept."""
    rows = batch.rows
    if batch.table is ObservedTable.BLOCK:
        end = source.first_height + block_count + 1
        return rows.filter((pl.col("height") < end) & (pl.col("height") != end - LOST_BLOCK))
    if batch.table is ObservedTable.DAILY_VALUE:
        lost = pl.DataFrame(
            [(series, through - timedelta(days=back)) for series, ago in LOST_DAYS.items() for back in ago],
            schema={"series": pl.String, "day": pl.Date},
            orient="row",
        )
        return rows.join(lost, on=["series", "day"], how="anti", maintain_order="left")
    return rows


if __name__ == "__main__":
    chains = {"whole": whole_chain, "recent": recent_chain}
    prepare(Path(sys.argv[1]), chains[sys.argv[3]](), int(sys.argv[2]), flows=sys.argv[4] == "flows")
