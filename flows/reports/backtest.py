"""The back-test on a terminal: what followed our signals, what chance alone gives, other houses' rules beside them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import polars as pl

from flows.reports import backtest_lows, backtest_vintages
from flows.reports.layout import lines_of
from schemas.errors import WarehouseError
from schemas.units import PERCENT
from transforms.bootstrap import DRAWS
from transforms.checks.ai_drift import SINCE
from transforms.inputs.backtest import DEPTHS, HORIZONS_DAYS, chance_as_good
from transforms.inputs.signals import ABLATIONS, ENTRY_START, OURS
from transforms.variants import TRIED_COUNT
from warehouse import publication_queries
from warehouse.reading import open_publication

WIDTH: Final = 80
DECIMALS: Final = 1
HALF_YEAR_DAYS: Final = HORIZONS_DAYS[2]
KEY: Final = ("rule", "entry", "horizon_days")


@dataclass(frozen=True, slots=True)
class Backtest:
    """Rows of `signal_backtest` with what `draws` give, the mean days of their blocks, and what `read_lows` gives."""

    rows: pl.DataFrame
    lows: pl.DataFrame
    first_published: pl.DataFrame
    left_for_ai: pl.DataFrame
    block_days: float
    draws: int

    def of(self, rule: str, *, entry: str | None = None, horizon_days: int | None = None) -> pl.DataFrame:
        """Its rows of a rule, an entry and a horizon."""
        given = {"rule": rule, "entry": entry, "horizon_days": horizon_days}
        return self.rows.filter(**{name: value for name, value in given.items() if value is not None})


def read_backtest(published: Path, draws: int = DRAWS) -> Backtest:
    """The back-test of the publication, with `draws` resampled paths of the price.

    Raises `WarehouseError` where the publication has no day with a state to judge.
    """
    with open_publication(published) as publication:
        rows, first, years, days = (
            publication_queries.table_frame(publication, "main", name)
            for name in ("signal_backtest", "signal_first_published", "hashrate_left_for_ai", "capitulation_daily")
        )
        lows = backtest_lows.read_lows(publication)
    if rows.is_empty():
        raise WarehouseError(
            f"{published}: signal_backtest has no row, expected days with a state; publish more than a year of days"
        )
    found, block_days = chance_as_good(days.sort("day"), rows["first_day"][0], rows["last_day"][0], draws)
    joined = rows.join(found, on=KEY, how="left", validate="1:1", maintain_order="left")
    return Backtest(joined, lows, first, years, block_days, draws)


def lines(found: Backtest, horizon_days: int = HALF_YEAR_DAYS) -> Iterator[str]:
    """What is printed, at most `WIDTH` columns wide: our rule in full, all rules at one horizon, what it is worth."""
    first = found.rows.row(0, named=True)
    ours = found.of(OURS[0])
    yield f"Price after the signals of our rule, {first['first_day']} to {first['last_day']}: {_episodes(ours)}."
    yield "One observation each, from the end of the day after the signal."
    yield ""
    yield from lines_of(
        ["entry", "days", "rose", "median_%", "lowest_%", "all_days_%", "as_deep_%", "above_it", "shifts_%", "draws_%"],
        [_ours(row) for row in ours.iter_rows(named=True)],
        WIDTH,
    )
    yield ""
    yield from LEGEND
    yield ""
    yield f"All rules, from the first day of their episodes, {horizon_days} days later:"
    yield ""
    rules = found.rows.filter(entry=ENTRY_START, horizon_days=horizon_days)
    yield from lines_of(
        ["rule", "rose", "median_%", "above_as_deep", "shifts_%", "draws_%"],
        [_other(row) for row in rules.iter_rows(named=True)],
        WIDTH,
    )
    yield ""
    yield f"{', '.join(ABLATIONS)}: our rule on one side, counted twice."
    yield ""
    yield from backtest_lows.lines(found.lows, WIDTH)
    yield ""
    yield from backtest_vintages.lines(found.first_published, horizon_days, WIDTH)
    yield ""
    yield from _without_ai(found.left_for_ai)
    yield ""
    yield f"Variants of our rule tried on the same prices: {TRIED_COUNT}. {found.draws:,} draws of blocks of"
    yield f"{found.block_days:.1f} days in the mean. A handful of cases is no proof: docs/backtest.md."


LEGEND: Final = (
    "rose: of all observations whose days have passed, those with a higher price.",
    "lowest: worst fall on the way. all_days: median from any day. as_deep: median",
    f"from days as far below the highest price so far (by {', '.join(f'{depth:.0%}' for depth in DEPTHS)}), and how",
    "many observations lie above it. shifts, draws: share of shifted signals, and of",
    "prices put together at random from their own days, with as high a median.",
)


def _without_ai(years: pl.DataFrame) -> Iterator[str]:
    counts = ("capitulation_day_count", "capitulation_adjusted_day_count", "hashrate_decline_day_count", "day_count")
    recent = years.filter(pl.col("year_start") >= SINCE).select(pl.sum(*counts))
    now, adjusted, declines, days = recent.row(0)
    yield f"AI: of {now} days in capitulation since {SINCE.year}, {adjusted} are left if the hash rate is"
    yield f"added back that AI is known to have taken; hashrate_decline on {declines} of {days} days."


def _ours(row: dict[str, Any]) -> tuple[Any, ...]:
    return (
        row["entry"],
        row["horizon_days"],
        _of(row, "rose_count"),
        *_rounded(
            row, "return_median_pct", "low_worst_pct", "all_return_median_pct", "same_drawdown_return_median_pct"
        ),
        _of(row, "above_same_drawdown_count"),
        *_rounded(row, "shift_as_good_pct"),
        _drawn(row),
    )


def _other(row: dict[str, Any]) -> tuple[Any, ...]:
    return (
        row["rule"],
        _of(row, "rose_count"),
        *_rounded(row, "return_median_pct"),
        _of(row, "above_same_drawdown_count"),
        *_rounded(row, "shift_as_good_pct"),
        _drawn(row),
    )


def _episodes(ours: pl.DataFrame) -> str:
    count = ours["episode_count"][0]
    return f"{count} episode{'' if count == 1 else 's'}"


def _of(row: dict[str, Any], name: str) -> str:
    """A count of the observations: counts come before percentages, and none of these is without what it is of."""
    return f"{row[name]} of {row['observation_count']}"


def _rounded(row: dict[str, Any], *names: str) -> Iterator[float | None]:
    yield from (None if row[name] is None else round(row[name], DECIMALS) for name in names)


def _drawn(row: dict[str, Any]) -> float | None:
    count: int | None = row["draw_as_good_count"]
    return None if count is None else round(PERCENT * count / int(row["draw_count"]), DECIMALS)
