"""Compare published columns with what others state of the same days, and write docs/tieouts.md.

Run as `python -m tests.tieouts --published HOME/published --data FOLDER`: the publication of the profile `files` from
the vendors' files in FOLDER. The files are read here with no code of ours between.
"""

import argparse
import csv
import statistics
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Final

import duckdb

from tests.docs.pages import REPOSITORY

PAGE: Final = REPOSITORY / "docs" / "tieouts.md"
Series = Mapping[date, float]
FIRST: Final = date(2012, 1, 1)
"""Before it whole days have one block or no price, and a share of next to nothing is anything."""


@dataclass(frozen=True, slots=True)
class Pair:
    """One of our columns beside the same figure of somebody else; `note` says what a difference is due to."""

    table: str
    column: str
    whose: str
    theirs: Callable[[Path], Series]
    is_independent: bool
    note: str


@dataclass(frozen=True, slots=True)
class TieOut:
    """Over the days that both state: how many, and how far ours are from theirs, in percent of theirs."""

    days_count: int
    first: date
    last: date
    correlation: float
    """Of the changes from one day to the next: levels that grow together correlate whatever else is wrong."""
    median_pct: float
    p95_pct: float
    largest_pct: float
    largest_on: date


def coinmetrics(column: str, factor: float = 1.0) -> Callable[[Path], Series]:
    """A column of Coin Metrics' file, times `factor`."""
    return lambda data: {
        day: factor * value for day, value in _of_csv(data / "coinmetrics" / "btc.csv", "time", column)
    }


def cryptoquant(name: str, column: str | None = None, factor: float = 1.0) -> Callable[[Path], Series]:
    """A column of an export of CryptoQuant, times `factor`."""
    file = f"cryptoquant/Bitcoin {name} - Day.csv"
    return lambda data: {day: factor * value for day, value in _of_csv(data / file, "date", column or name)}


def coinmetrics_revenue_usd(data: Path) -> Series:
    """Issuance in USD and fees at the price of the day."""
    issued, fees = coinmetrics("IssTotUSD")(data), coinmetrics("FeeTotNtv")(data)
    price = coinmetrics("PriceUSD")(data)
    return {day: issued[day] + fees[day] * price[day] for day in issued.keys() & fees.keys() & price.keys()}


def coinmetrics_revenue_btc(data: Path) -> Series:
    """Issuance and fees."""
    issued, fees = coinmetrics("IssTotNtv")(data), coinmetrics("FeeTotNtv")(data)
    return {day: issued[day] + fees[day] for day in issued.keys() & fees.keys()}


def pool_list_blocks(data: Path) -> Series:
    """Blocks by the day of their header in the list of blocks with their pools."""
    file = data / "pool_blocks" / "blocks_post_2021.parquet"
    query = f"select cast(date as date) as day, count(*) from '{file}' group by day order by day"
    rows = duckdb.sql(query).fetchall()
    return {day: float(count) for day, count in rows[1:-1]}


def cryptoquant_mean(data: Path) -> Series:
    """Mean of a transfer from miners to exchanges, as the vendor states it."""
    name = "Miner to Exchange Flow (Mean)"
    return cryptoquant(f"{name} - All Miners, All Exchanges", name)(data)


_SAME: Final = "None: it is what ours is computed from, so that nothing was lost or scaled on the way."
_MIDNIGHT: Final = (
    "Blocks near midnight are on the day before or after; on the day of a halving that is a quarter more."
)
PAIRS: Final = (
    Pair("capitulation_daily", "hashrate_ehs", "Coin Metrics HashRate", coinmetrics("HashRate", 1e-6), True, _MIDNIGHT),
    Pair(
        *("capitulation_daily", "hashrate_ehs", "CryptoQuant Hashrate"),
        cryptoquant("Hashrate", None, 1e-9),
        False,
        "Their formula, over the same blocks: on the day of a retarget it has the last difficulty for all blocks.",
    ),
    Pair("capitulation_daily", "block_count", "Coin Metrics BlkCnt", coinmetrics("BlkCnt"), True, _MIDNIGHT),
    Pair("capitulation_daily", "block_count", "blocks of the pool list", pool_list_blocks, True, _MIDNIGHT),
    Pair("capitulation_daily", "difficulty", "CryptoQuant Difficulty", cryptoquant("Difficulty"), False, _SAME),
    Pair("capitulation_daily", "issuance_btc", "Coin Metrics IssTotNtv", coinmetrics("IssTotNtv"), True, _MIDNIGHT),
    Pair(
        *("capitulation_daily", "miner_revenue_btc", "CryptoQuant Block Rewards"),
        cryptoquant("Block Rewards"),
        False,
        _SAME,
    ),
    Pair(
        *("capitulation_daily", "miner_revenue_btc", "Coin Metrics IssTotNtv + FeeTotNtv"),
        coinmetrics_revenue_btc,
        True,
        f"{_MIDNIGHT} The fees of such a block too.",
    ),
    Pair(
        *("capitulation_daily", "miner_revenue_usd", "CryptoQuant Block Rewards USD"),
        cryptoquant("Block Rewards USD"),
        True,
        "Another price of the day; the coins are the same.",
    ),
    Pair(
        *("capitulation_daily", "miner_revenue_usd", "Coin Metrics IssTotUSD + fees"),
        coinmetrics_revenue_usd,
        True,
        "The price is theirs, so that only the coins differ, as above.",
    ),
    Pair("security_daily", "supply_btc", "Coin Metrics SplyCur", coinmetrics("SplyCur"), True, "Rounding."),
    Pair(
        *("exchange_flow_total_daily", "miner_to_exchange_mean_btc", "CryptoQuant Miner to Exchange Flow (Mean)"),
        cryptoquant_mean,
        False,
        "Rounding: ours is their total by their count.",
    ),
)


def tie_out(ours: Series, theirs: Series) -> TieOut | None:
    """What both state of the same days since `FIRST`; None where they share too few days."""
    days = sorted(day for day in ours.keys() & theirs.keys() if day >= FIRST and theirs[day] and ours[day])
    apart = {day: 100 * abs(ours[day] / theirs[day] - 1) for day in days}
    steps = [day for day in days if day - timedelta(days=1) in apart]
    if len(steps) < 3:
        return None

    def changes(series: Series) -> list[float]:
        return [series[day] / series[day - timedelta(days=1)] - 1 for day in steps]

    largest_on = max(apart, key=lambda day: apart[day])
    return TieOut(
        days_count=len(days),
        first=days[0],
        last=days[-1],
        correlation=statistics.correlation(changes(ours), changes(theirs)),
        median_pct=statistics.median(apart.values()),
        p95_pct=statistics.quantiles(apart.values(), n=20)[-1],
        largest_pct=apart[largest_on],
        largest_on=largest_on,
    )


def found(published: Path, data: Path) -> Iterator[tuple[Pair, str, TieOut]]:
    """Each pair of which both sides are there, with the sources of our column."""
    with duckdb.connect(str(published / "hashpivot.duckdb"), read_only=True) as connection:
        for pair in PAIRS:
            query = f"select day, {pair.column} from {pair.table} where {pair.column} is not null"
            ours = dict(connection.execute(query).fetchall())
            sources = connection.execute(
                "select sources from meta.columns where table_name = ? and column_name = ?", [pair.table, pair.column]
            ).fetchall()[0][0]
            tied = tie_out(ours, pair.theirs(data))
            if tied is not None:
                yield pair, sources, tied


def page(published: Path, data: Path) -> str:
    """The page, as Markdown."""
    every = list(found(published, data))
    rows = [
        f"| {number} | `{pair.column}` | {pair.whose} | {'yes' if pair.is_independent else 'no'} | {tied.days_count:,} "
        f"| {tied.correlation:.4f} | {_pct(tied.median_pct)} | {_pct(tied.p95_pct)} "
        f"| {_pct(tied.largest_pct)} on {tied.largest_on} |"
        for number, (pair, _, tied) in enumerate(every, 1)
    ]
    notes = [
        f"{number}. {tied.first} to {tied.last}, ours from {' and '.join(sources.split(','))}. {pair.note}"
        for number, (pair, sources, tied) in enumerate(every, 1)
    ]
    return "\n".join([HEAD, *rows, MEANING, *notes, ""])


HEAD: Final = """\
# Tie-outs: how far the figures can be believed

Published columns of the profile `files` beside what others state of the same days, over the vendors' files that the
project is tested on. Written by `python -m tests.tieouts`; a test compares it with a new run.

| | column | beside | other data | days | correlation | median | 95 of 100 | largest |
|---|---|---|---|---|---|---|---|---|"""
MEANING: Final = """
- **Other data**: whether theirs is made from other observations than ours. Where it is not, the row shows that nothing
  was lost or scaled on the way, and nothing about the observation itself.
- **Correlation**: of the changes from one day to the next. Levels that grow together correlate whatever else is wrong.
- **Median, 95 of 100, largest**: how far ours is from theirs on a day, in percent of theirs. Days on which either is 0
  are left out, and so are those before 2012, when a day may have few blocks and hardly a price.
- **What has no row** has nobody to be compared with in these files: flows from miners to single exchanges, payouts of
  pools, leases. What a node and a block lake find is compared in tests with a chain that is known by construction.

What a difference is due to, by row:
"""


def _pct(value: float) -> str:
    return f"{value:.2g} %" if value >= 1e-4 else "0 %"


def _of_csv(path: Path, day: str, column: str) -> Iterator[tuple[date, float]]:
    with path.open(encoding="utf-8", newline="") as opened:
        for row in csv.DictReader(opened):
            if row[column]:
                yield date.fromisoformat(row[day][:10]), float(row[column])


def main() -> int:
    """Write the page; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.tieouts", description=__doc__)
    parser.add_argument("--published", type=Path, required=True, help="folder of publications of the profile `files`")
    parser.add_argument("--data", type=Path, required=True, help="folder of the vendors' files")
    options = parser.parse_args()
    PAGE.write_text(page(options.published, options.data), encoding="utf-8")
    print(f"wrote {PAGE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
