"""Figures of the cookbook from the vendors' files and the rows of the registry alone, with no code of ours between."""

import csv
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb

from tests.docs.pages import REPOSITORY

REGISTRY = REPOSITORY / "warehouse" / "reference"
LAST = "date '2026-11-28'"
"""The registry as known then: rows of later days may be added to it."""
STANDING = (
    f"known_at <= {LAST} and coalesce(superseded_at > {LAST}, true) and coalesce(ended_on > {LAST}, true) "
    "and kind in ('contract', 'extension') and confidence <> 'unverified'"
)


def registry(query: str) -> list[tuple[Any, ...]]:
    """The result of a query on the files of the registry; a name in braces is a file."""
    tables = ("conversion_deal", "deal_delivery", "credit_support", "company")
    files = {name: f"read_csv('{REGISTRY / name}.csv', header = true, all_varchar = false)" for name in tables}
    return duckdb.sql(query.format(standing=STANDING, **files)).fetchall()


def vendor_series(folder: Path, file: str, day: str, value: str) -> dict[date, float]:
    """By day the values of one column of a vendor's file."""
    with (folder / file).open(encoding="utf-8", newline="") as opened:
        rows = list(csv.DictReader(opened))
    return {date.fromisoformat(row[day][:10]): float(row[value]) for row in rows if row[value]}


def capitulation_days(folder: Path) -> dict[date, tuple[float, float, float]]:
    """Parts of the score (income level, income per hash, hash rate) of each day, as metrics.md 9.3 defines them.

    From Coin Metrics' price and CryptoQuant's difficulty and count of blocks; a window needs nine tenths of its days.
    """
    price = vendor_series(folder, "coinmetrics/btc.csv", "time", "PriceUSD")
    of_cryptoquant = "cryptoquant/Bitcoin {} - Day.csv"
    difficulty = vendor_series(folder, of_cryptoquant.format("Difficulty"), "date", "Difficulty")
    blocks = vendor_series(folder, of_cryptoquant.format("Blocks Mined"), "date", "Blocks Mined")
    per_hash = {day: price[day] / difficulty[day] for day in price.keys() & difficulty.keys() if difficulty[day]}
    work = {day: blocks[day] * difficulty[day] for day in blocks.keys() & difficulty.keys()}

    def mean(series: dict[date, float], last: date, days: int) -> float | None:
        known = [series[day] for n in range(days) if (day := last - timedelta(days=n)) in series]
        return sum(known) / len(known) if len(known) >= 0.9 * days - (days == 7) * 0.3 else None

    def ramp(value: float, calm: float, stressed: float) -> float:
        return min(max((value - calm) / (stressed - calm), 0), 1)

    found = {}
    for day in sorted(price):
        week, year = mean(price, day, 7), mean(price, day, 365)
        hash_week, hash_year = mean(per_hash, day, 7), mean(per_hash, day, 365)
        fast, slow = mean(work, day, 30), mean(work, day, 60)
        if week and year and hash_week and hash_year and fast and slow:
            found[day] = (
                25 * ramp(week / year, 1, 0.5),
                25 * ramp(hash_week / hash_year, 1, 0.5),
                50 * ramp(100 * (fast / slow - 1), -2, -5),
            )
    return found


def in_capitulation(parts: dict[date, tuple[float, float, float]]) -> list[date]:
    """Days from 60 points on, until the score is 50 or below."""
    days, inside = [], False
    for day, points in parts.items():
        inside = sum(points) >= 60 or (inside and sum(points) > 50)
        if inside:
            days.append(day)
    return days
