"""The rule of capitulation: two sides of points, bands of their sum with hysteresis, and a state for every day.

Limits and weights are round numbers that were chosen and never fitted: a handful of events can justify no others. Each
is a field of `CapitulationRule`, so that another value can be tried without a second copy of the rule.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import polars as pl

from transforms.windows import least_known, mean_over, ratio

NORMAL: Final = "normal"
SQUEEZE: Final = "squeeze"
HASHRATE_DECLINE: Final = "hashrate_decline"
OUTAGE: Final = "outage"
CAPITULATION: Final = "capitulation"
DEEP_CAPITULATION: Final = "deep_capitulation"
RECOVERY: Final = "recovery"
STATES: Final = (NORMAL, SQUEEZE, HASHRATE_DECLINE, OUTAGE, CAPITULATION, DEEP_CAPITULATION, RECOVERY)
CAPITULATIONS: Final = (CAPITULATION, DEEP_CAPITULATION)

INCOME_PARTS: Final = ("score_income_level", "score_income_per_hash")
HASHRATE_PART: Final = "score_hashrate"
PARTS: Final = (*INCOME_PARTS, HASHRATE_PART)
STATE_INPUTS: Final = ("is_final", *PARTS, "outage_event")

_CAPITULATION_BAND: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Ramp:
    """Points of one part of the score: none at `calm`, all of `points` at `stressed`, a share in between."""

    calm: float
    stressed: float
    points: float

    def of(self, value: pl.Expr) -> pl.Expr:
        """Points that `value` gives; NULL where it is NULL."""
        return self.points * ((value - self.calm) / (self.stressed - self.calm)).clip(0, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class CapitulationRule:
    """Every number of the rule. Days count today; `limits` are the least points of the bands 1, 2 and 3.

    A band is left at its limit less `hysteresis`, or below. `recovery_days` are given at most after a capitulation that
    ended no more than `memory_days` ago.
    """

    week_days: int = 7
    year_days: int = 365
    fast_days: int = 30
    slow_days: int = 60
    income_level: Ramp = Ramp(calm=1.0, stressed=0.5, points=25)
    income_per_hash: Ramp = Ramp(calm=1.0, stressed=0.5, points=25)
    hashrate: Ramp = Ramp(calm=-2.0, stressed=-5.0, points=50)
    limits: tuple[float, float, float] = (30, 60, 80)
    hysteresis: float = 10
    recovery_days: int = 60
    memory_days: int = 365

    def of_year(self, column: pl.Expr) -> pl.Expr:
        """Mean of the last week over that of the last year; one day of the week may be unknown."""
        week = mean_over(column, self.week_days, least=self.week_days - 1)
        return ratio(week, mean_over(column, self.year_days, least=least_known(self.year_days)))

    def band(self, points: float, before: int) -> int:
        """Band 0 to 3 of a day with `points` after a day in the band `before`."""
        entered = sum(points >= limit for limit in self.limits)
        held = sum(points > limit - self.hysteresis for limit in self.limits)
        return max(entered, min(before, held))

    def states(self, days: pl.Series) -> pl.Series:
        """State of each day, NULL where a part is unknown or the day is not final.

        `days`: a struct of `STATE_INPUTS`, one row a day of a calendar without gaps, sorted.
        """
        return pl.Series(list(self._walk(days)), dtype=pl.String)

    def _walk(self, days: pl.Series) -> Iterator[str | None]:
        """Yield the state of each day in one pass.

        An unknown day keeps the band. If that is band 0, it is one of the days of a recovery, since those are counted
        on the calendar and not by rows.
        """
        band, recovered_days = 0, 0
        since_capitulation: int | None = None
        columns = (days.struct.field(name) for name in STATE_INPUTS)
        for is_final, level, per_hash, hashrate, event in zip(*columns, strict=True):
            known = is_final and None not in (level, per_hash, hashrate)
            if since_capitulation is not None:
                since_capitulation += 1
            if known:
                economic = level + per_hash
                band = self.band(economic + hashrate, band)
                if band >= _CAPITULATION_BAND:
                    since_capitulation, recovered_days = 0, 0
            recovering = (
                band == 0
                and since_capitulation is not None
                and since_capitulation <= self.memory_days
                and recovered_days < self.recovery_days
            )
            recovered_days += recovering
            if not known:
                yield None
            elif band:
                yield (None, _one_sided(economic >= hashrate, event), CAPITULATION, DEEP_CAPITULATION)[band]
            else:
                yield RECOVERY if recovering else NORMAL


def _one_sided(is_economic: bool, event: str | None) -> str:
    """State of a day in band 1: an event can only name a decline of hash rate that income does not explain."""
    if is_economic:
        return SQUEEZE
    return HASHRATE_DECLINE if event is None else OUTAGE


RULE: Final = CapitulationRule()
"""The rule that is published."""
