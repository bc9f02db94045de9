"""The closed list of units, each with the endings a column in that unit may have."""

from enum import Enum, StrEnum
from typing import Final

import polars as pl

SAT_PER_BTC: Final = 100_000_000
SECONDS_PER_DAY: Final = 86_400
HOURS_PER_DAY: Final = 24
HASHES_PER_DIFFICULTY: Final = 2**32
HASHES_PER_EXAHASH: Final = 10**18
HASHES_PER_PETAHASH: Final = 10**15
TERAHASH_PER_EXAHASH: Final = 10**6
GIGAHASH_PER_EXAHASH: Final = 10**9
PETAHASH_PER_EXAHASH: Final = 10**3
PERCENT: Final = 100


class Aggregation(StrEnum):
    """Over which parts of its table's key the values of a column may be added up without counting anything twice."""

    SUM = "sum"
    """Over any part."""
    SUM_OF_DAY = "sum of a day"
    """Over all but the day: what stands, or a window that overlaps with that of the day before."""
    NONE = "none"
    """Over none: a ratio, a price, a mean, or an amount of which others are a part."""


class Unit(Enum):
    """A unit of measure: what is printed beside a number, how the name of its column ends, and its type."""

    BTC = ("BTC", ("_btc",))
    SAT = ("satoshi", ("_sat",), pl.Int64)
    USD = ("USD", ("_usd",))
    USD_PER_YEAR = ("USD per year", ("_usd_year",))
    USD_PER_HOUR = ("USD per hour", ("_usd_per_hour",))
    USD_PER_TERAHASH = ("USD per TH/s", ("_usd_per_th",))
    USD_PER_MEGAWATT = ("USD per MW", ("_usd_per_mw",))
    INDEX = ("index points", ("_index",))
    COUNT = ("count", ("_count",), pl.Int64)
    PERCENT = ("percent", ("_pct",))
    RATIO = ("ratio", ("_ratio",))
    SCORE = ("points", ("_score",))
    SCORE_PART = (
        "points of 100",
        ("score_income_level", "score_income_per_hash", "score_hashrate"),
    )
    STANDARD_DEVIATIONS = ("standard deviations", ("_zscore",))
    DIFFICULTY = ("difficulty", ("difficulty",))
    EXAHASH_PER_SECOND = ("EH/s", ("_ehs",))
    USD_PER_PETAHASH_DAY = ("USD per PH/s per day", ("_usd_per_phs_day",))
    USD_PER_MEGAWATT_HOUR = ("USD/MWh", ("_usd_per_mwh",))
    USD_PER_MEGAWATT_YEAR = ("USD per MW per year", ("_usd_per_mw_year",))
    JOULE_PER_TERAHASH = ("J/TH", ("_j_per_th",))
    MEGAWATT = ("MW", ("_mw",))
    YEARS = ("years", ("_years",))
    DAYS = ("days", ("_days",), pl.Int64)
    COUNT_PER_YEAR = ("count per year", ("_per_year",))
    RANK = ("rank", ("_rank",), pl.Int64)
    HEIGHT = ("block height", ("height",), pl.Int64)
    DAY = ("UTC day", ("day", "_on", "_start"), pl.Date)
    FIGURE = ("in figure_unit", ("figure",))
    YES_NO = ("yes or no", ("",), pl.Boolean)
    LABEL = ("label", ("",), pl.String)

    def __init__(self, label: str, endings: tuple[str, ...], dtype: type[pl.DataType] = pl.Float64) -> None:
        self.label = label
        self.endings = endings
        self.dtype = dtype

    def fits(self, name: str) -> bool:
        """Whether a column of this unit may be called `name`."""
        return any(name == ending or name.endswith(ending) for ending in self.endings)


AMOUNTS: Final = frozenset({Unit.BTC, Unit.SAT, Unit.USD, Unit.COUNT, Unit.MEGAWATT, Unit.EXAHASH_PER_SECOND})
"""Units whose values may be added up, if the column says so."""
