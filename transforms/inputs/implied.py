"""Series that no source states but that follow from what one source states: a price from a reward in two units."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl

from schemas.series import SERIES, Group
from schemas.units import HASHES_PER_DIFFICULTY, HASHES_PER_EXAHASH, SAT_PER_BTC, SECONDS_PER_DAY
from transforms.calendar import spine
from transforms.chain import FIRST_BLOCK_DAYS, counted_days, supply_sat_expr
from transforms.windows import ratio

_BY_COUNT: Final = "issuance_by_count_sat"
"""Coins that the blocks of the day may create; there where the count of all blocks before gives their heights."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """How one series follows from others of the same source on the same day; `how` completes "computed from"."""

    series: str
    of: tuple[str, ...]
    value: pl.Expr
    how: str

    def holds(self, known: Sequence[str]) -> bool:
        """Whether all that it reads is among the `known` series."""
        return set(self.of) <= set(known)


RULES: Final = (
    Rule(
        series="issuance_sat",
        of=("reward_sat", "fees_sat"),
        value=pl.col("reward_sat") - pl.col("fees_sat"),
        how="reward less fees",
    ),
    Rule(
        series="issuance_sat",
        of=("reported_issuance_usd", "price_usd"),
        value=(ratio(pl.col("reported_issuance_usd"), pl.col("price_usd")) * SAT_PER_BTC).round(0),
        how="issuance in USD over the price",
    ),
    Rule(
        series="issuance_sat",
        of=("block_count", _BY_COUNT),
        value=pl.col(_BY_COUNT),
        how="the subsidies of the heights by the count of all blocks",
    ),
    Rule(
        series="issuance_sat",
        of=("supply_sat",),
        value=pl.col("supply_sat").diff(),
        how="the growth of the supply, which leaves out lost coins: up to 2 % off",
    ),
    Rule(
        series="fees_sat",
        of=("reward_sat", "issuance_sat"),
        value=pl.col("reward_sat") - pl.col("issuance_sat"),
        how="reward less issuance",
    ),
    Rule(
        series="price_usd",
        of=("reward_usd", "reward_sat"),
        value=ratio(pl.col("reward_usd"), pl.col("reward_sat")) * SAT_PER_BTC,
        how="reward in USD over reward in BTC, so that it is a mean over the blocks of the day and no close",
    ),
    Rule(
        series="price_usd",
        of=("reported_issuance_usd", "issuance_sat"),
        value=ratio(pl.col("reported_issuance_usd"), pl.col("issuance_sat")) * SAT_PER_BTC,
        how="issuance in USD over issuance in BTC",
    ),
    Rule(
        series="difficulty",
        of=("reported_hashrate_ehs", "block_count"),
        value=ratio(pl.col("reported_hashrate_ehs"), pl.col("block_count"))
        * (HASHES_PER_EXAHASH * SECONDS_PER_DAY / HASHES_PER_DIFFICULTY),
        how="hash rate over the count of blocks, the inverse of the vendor's formula",
    ),
)
"""In the order of preference; a later rule may read what an earlier one gave. Inputs are never those of two sources."""


ACCOUNT: Final = ("block_count", "issuance_sat", "fees_sat")
"""What the blocks of a day give together, so that it is taken from one source on each day."""
_OF_REWARD: Final = tuple(rule for rule in RULES if rule.series in ACCOUNT and rule.of != ("supply_sat",))


@dataclass(frozen=True, slots=True, kw_only=True)
class Implied:
    """`values`: long, (`source`, `series`, `day`, `value`). `how`: by series, what it is computed from."""

    values: pl.DataFrame
    how: Mapping[str, str]


def implied(ranked: pl.DataFrame, precedence: Mapping[Group, Sequence[str]], stated: Sequence[str]) -> Implied:
    """Compute each series of `RULES` that is not among those `stated`, from the first source that gives it.

    `ranked`: long, (`source`, `series`, `day`, `value`), of sources that the `precedence` lists for the group of the
    series. What somebody states wins over what follows from another's figures. A value outside the bounds of its
    series is left out.
    """
    wanted = [rule for rule in RULES if rule.series not in stated]
    found: list[pl.DataFrame] = []
    how: dict[str, str] = {}
    of_sources: dict[str, pl.DataFrame] = {}
    for rule in wanted:
        for source in precedence.get(SERIES[rule.series].group, ()):
            if source not in of_sources:
                of_sources[source] = _by_day(ranked.filter(pl.col("source") == source))
            days = of_sources[source]
            if rule.series in how or not rule.holds(days.columns):
                continue
            values = days.select("day", _within_bounds(rule).alias("value")).drop_nulls()
            if values.is_empty():
                continue
            of_sources[source] = days.join(values.rename({"value": rule.series}), on="day", how="left").sort("day")
            how[rule.series] = rule.how
            found.append(values.select(pl.lit(source).alias("source"), pl.lit(rule.series).alias("series"), pl.all()))
    return Implied(values=pl.concat([ranked.select("source", "series", "day", "value").clear(), *found]), how=how)


def accounted(ranked: pl.DataFrame, sources: Sequence[str]) -> dict[str, pl.DataFrame]:
    """Issuance and fees of each of `sources` that states what miners were paid, from its own figures.

    `ranked`: long, (`source`, `series`, `day`, `value`). Shape of each frame: the same columns, what the source states
    itself left out. A reward beside a count of all blocks proves the fees; a total of fees alone may be that of blocks
    of the next day.
    """
    paid = ranked.filter(series="reward_sat")["source"].unique()
    found = {}
    for source in (each for each in sources if each in paid):
        days = stated = _by_day(ranked.filter(source=source))
        for rule in _OF_REWARD:
            if rule.series not in days.columns and rule.holds(days.columns):
                days = days.with_columns(_within_bounds(rule).alias(rule.series))
        new = [name for name in ACCOUNT if name in days.columns and name not in stated.columns]
        rows = days.select("day", *new).unpivot(index="day", variable_name="series").drop_nulls("value")
        found[source] = rows.select(pl.lit(source).alias("source"), "series", "day", "value")
    return found


def _by_day(of_source: pl.DataFrame) -> pl.DataFrame:
    """One source's values on a gap-free calendar, one column a series, and the issuance by the count of its blocks."""
    if of_source.is_empty():
        return pl.DataFrame(schema={"day": pl.Date})
    wide = of_source.pivot("series", index="day", values="value")
    days = spine(wide["day"].min(), wide["day"].max()).join(wide, on="day", how="left").sort("day")  # type: ignore[arg-type]
    if "block_count" not in days.columns:
        return days
    counted = counted_days(days.filter(pl.col("block_count").is_not_null().cum_max()))
    if counted is None:
        return days
    # The genesis block is the only one of its day; who counts none on that day begins with the block after it.
    first_day, first_count = counted.select("day", "block_count").row(0)
    uncounted = 0 if first_day == FIRST_BLOCK_DAYS[0] and first_count > 0 else 1
    until = (pl.col("block_count").cum_sum() + uncounted).cast(pl.Int64)
    before = until - pl.col("block_count").cast(pl.Int64)
    issuance = (supply_sat_expr(until) - supply_sat_expr(before)).cast(pl.Float64)
    return days.join(counted.select("day", issuance.alias(_BY_COUNT)), on="day", how="left").sort("day")


def _within_bounds(rule: Rule) -> pl.Expr:
    series = SERIES[rule.series]
    inside = (rule.value > series.ge) if series.above else (rule.value >= series.ge)
    if series.le is not None:
        inside &= rule.value <= series.le
    return pl.when(inside).then(rule.value)
