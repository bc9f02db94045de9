"""Revenue per unit of energy against what energy costs: is mining worth its power?"""

import math
from datetime import date
from typing import Final

import polars as pl

from schemas.metric import Example, Given, metric
from schemas.units import HOURS_PER_DAY, PERCENT, Unit
from transforms.windows import mean_over, ratio

MWH_PER_KW_DAY: Final = HOURS_PER_DAY / 1_000
"""A PH/s at one J/TH draws one kilowatt, so its day takes this many MWh."""

DAYS_PER_YEAR: Final = 365.25
EFFICIENCY_BAND: Final = (0.14, 0.125)
"""Standard deviation of the logarithm of an estimate of efficiency on its date, and what each year since adds: the
spread of two surveys of one date, and a change of 10 to 30 % a year in place of 20."""
COST_BAND: Final = (0.18, 0.15)
"""The same of all-in cost. The yearly part is the one dated miss: 46 USD/MWh of 2019 against 70 to 80 of 2022."""
COVERAGE_SPREAD: Final = math.hypot(0.25, 0.20)
"""Standard deviation of the logarithm of coverage over machines: their efficiency 0.25, their cost 0.20. Our choice."""

FLEET_ERROR: Final = (
    "As good as the fleet estimate: see fleet_efficiency_low_j_per_th and fleet_efficiency_high_j_per_th."
)
BAND_ERROR: Final = "Holds the truth in about two of three cases. Its widths are our own choice."
COVERAGE_ERROR: Final = "Known to a factor of 1.3 at best and of 2 in most years: read it with its low and high case."
NO_ESTIMATE: Final = "NULL before the first estimate was published."
_AGES: Final[Given] = {"fleet_efficiency_age_days": 585, "all_in_age_days": 585}


def _revenue_per_mwh(hashprice: pl.Expr, efficiency: str) -> pl.Expr:
    return ratio(hashprice, MWH_PER_KW_DAY * pl.col(efficiency))


def _spread(band: tuple[float, float], age: str) -> pl.Expr:
    """Standard deviation of the logarithm of an estimate that many days after its date."""
    at_first, a_year = band
    return (at_first**2 + (a_year * pl.col(age) / DAYS_PER_YEAR) ** 2).sqrt()


def _coverage_spread() -> pl.Expr:
    efficiency, cost = _spread(EFFICIENCY_BAND, "fleet_efficiency_age_days"), _spread(COST_BAND, "all_in_age_days")
    return (efficiency**2 + cost**2).sqrt()


def _unprofitable_share(coverage: str) -> pl.Expr:
    """Percent of machines below break-even: normal distribution function to 1.5e-7 (Abramowitz and Stegun 7.1.26)."""
    z = -pl.col(coverage).log() / COVERAGE_SPREAD
    x = z.abs() / math.sqrt(2)
    t = 1 / (1 + 0.3275911 * x)
    tail = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
    upper = 1 - tail * (-x * x).exp() / 2
    return PERCENT * pl.when(z < 0).then(1 - upper).otherwise(upper)


@metric(
    unit=Unit.JOULE_PER_TERAHASH,
    error="New estimates, taken over in 90 days, were 4 % off it. None after mid-2024 is known: see low and high.",
    null_rule=NO_ESTIMATE,
    ge=0,
)
def fleet_efficiency_j_per_th() -> pl.Expr:
    """Energy of the network's mean fleet, cooling included: the newest published estimate, less 20 % a year since."""
    return pl.col("fleet_efficiency_j_per_th")


@metric(
    Example(given={"day": date(2026, 2, 5), "fleet_efficiency_as_of": date(2024, 6, 30)}, gives=585),
    unit=Unit.DAYS,
    error="Exact.",
    null_rule=NO_ESTIMATE,
    ge=0,
)
def fleet_efficiency_age_days() -> pl.Expr:
    """Days since the date that the newest published estimate of fleet efficiency describes."""
    return (pl.col("day") - pl.col("fleet_efficiency_as_of")).dt.total_days()


@metric(
    Example(
        given={"fleet_efficiency_j_per_th": 19.73, "fleet_efficiency_age_days": 585},
        gives=15.5,
        within=0.05,
        source="2026-02-05",
    ),
    unit=Unit.JOULE_PER_TERAHASH,
    error=BAND_ERROR,
    null_rule=NO_ESTIMATE,
    ge=0,
)
def fleet_efficiency_low_j_per_th() -> pl.Expr:
    """Low end of the band of fleet_efficiency_j_per_th, which grows with the age of the estimate."""
    return pl.col("fleet_efficiency_j_per_th") * (-_spread(EFFICIENCY_BAND, "fleet_efficiency_age_days")).exp()


@metric(
    Example(
        given={"fleet_efficiency_j_per_th": 19.73, "fleet_efficiency_age_days": 585},
        gives=25.2,
        within=0.05,
        source="2026-02-05",
    ),
    unit=Unit.JOULE_PER_TERAHASH,
    error=BAND_ERROR,
    null_rule=NO_ESTIMATE,
    ge=0,
)
def fleet_efficiency_high_j_per_th() -> pl.Expr:
    """High end of the band of fleet_efficiency_j_per_th, which grows with the age of the estimate."""
    return pl.col("fleet_efficiency_j_per_th") * _spread(EFFICIENCY_BAND, "fleet_efficiency_age_days").exp()


@metric(
    unit=Unit.USD_PER_MEGAWATT_HOUR,
    error="A survey's median, held until the next one; single miners pay a third to twice of it.",
    null_rule=NO_ESTIMATE,
    ge=0,
)
def all_in_usd_per_mwh() -> pl.Expr:
    """Cash cost of mining with one MWh, power and operations, by the newest estimate published up to the day."""
    return pl.col("all_in_usd_per_mwh")


@metric(
    Example(given={"day": date(2026, 2, 5), "all_in_as_of": date(2024, 6, 30)}, gives=585),
    unit=Unit.DAYS,
    error="Exact.",
    null_rule=NO_ESTIMATE,
    ge=0,
)
def all_in_age_days() -> pl.Expr:
    """Days since the date that the newest published estimate of all-in cost describes."""
    return (pl.col("day") - pl.col("all_in_as_of")).dt.total_days()


@metric(
    Example(given={"hashprice_usd_per_phs_day": 33.31, "fleet_efficiency_j_per_th": 28.2}, gives=49.2, within=0.05),
    Example(given={"hashprice_usd_per_phs_day": 43.34, "fleet_efficiency_j_per_th": 20.0}, gives=90.29, within=0.005),
    Example(
        given={"hashprice_usd_per_phs_day": 33.31, "fleet_efficiency_j_per_th": 30.8},
        gives=45.0,
        within=0.1,
        source="30.8 J/TH breaks even at 45 USD/MWh",
    ),
    Example(
        given={"hashprice_usd_per_phs_day": 33.31, "fleet_efficiency_j_per_th": 25.0},
        gives=55.5,
        within=0.05,
        source="25.0 J/TH breaks even at 55.5 USD/MWh",
    ),
    unit=Unit.USD_PER_MEGAWATT_HOUR,
    error=FLEET_ERROR,
    null_rule="NULL when hashprice or the fleet estimate is.",
    ge=0,
)
def revenue_usd_per_mwh() -> pl.Expr:
    """What one MWh earns in the network's mean fleet; also the power price at which it would break even."""
    return _revenue_per_mwh(pl.col("hashprice_usd_per_phs_day"), "fleet_efficiency_j_per_th")


@metric(
    Example(
        given={
            "hashprice_usd_per_phs_day": 33.31,
            "new_fleet_efficiency_j_per_th": 18.0,
        },
        gives=77.1,
        within=0.05,
    ),
    unit=Unit.USD_PER_MEGAWATT_HOUR,
    error="For a reference machine, not for anybody's fleet.",
    null_rule="NULL when hashprice is.",
    ge=0,
)
def new_fleet_revenue_usd_per_mwh() -> pl.Expr:
    """What one MWh earns in a fleet of recent machines."""
    return _revenue_per_mwh(pl.col("hashprice_usd_per_phs_day"), "new_fleet_efficiency_j_per_th")


@metric(
    Example(
        given={
            "hashprice_usd_per_phs_day": 36.0,
            "old_fleet_efficiency_j_per_th": 30.0,
        },
        gives=50.0,
    ),
    unit=Unit.USD_PER_MEGAWATT_HOUR,
    error="For a reference machine, not for anybody's fleet.",
    null_rule="NULL when hashprice is.",
    ge=0,
)
def old_fleet_revenue_usd_per_mwh() -> pl.Expr:
    """What one MWh earns in a fleet of old machines."""
    return _revenue_per_mwh(pl.col("hashprice_usd_per_phs_day"), "old_fleet_efficiency_j_per_th")


@metric(
    Example(
        given={
            "hashprice_usd_per_phs_day": [39.33] * 6 + [1.39],
            "fleet_efficiency_j_per_th": [40.0] * 6 + [19.73],
        },
        gives=71.6,
        within=0.05,
        source="a week's mean of 33.91, at the efficiency of its last day",
    ),
    unit=Unit.USD_PER_MEGAWATT_HOUR,
    error=FLEET_ERROR,
    null_rule="NULL with fewer than 7 of 7 days of hashprice, or when the fleet estimate is.",
    ge=0,
    history_days=7,
)
def revenue_7d_usd_per_mwh() -> pl.Expr:
    """What one MWh earns in the network's mean fleet at the mean hashprice of seven days."""
    return _revenue_per_mwh(mean_over(pl.col("hashprice_usd_per_phs_day"), 7), "fleet_efficiency_j_per_th")


@metric(
    Example(
        given={"revenue_7d_usd_per_mwh": 71.6, "all_in_usd_per_mwh": 55.5},
        gives=1.29,
        within=0.005,
        source="2026-02-05",
    ),
    unit=Unit.RATIO,
    error=COVERAGE_ERROR,
    null_rule="NULL when revenue per MWh or the cost estimate is.",
    ge=0,
)
def cost_coverage_ratio() -> pl.Expr:
    """A week's revenue of the mean fleet over its all-in cash cost; below 1 it mines at a loss."""
    # A week, because nobody scraps machines for one bad day.
    return ratio(pl.col("revenue_7d_usd_per_mwh"), pl.col("all_in_usd_per_mwh"))


@metric(
    Example(given={"cost_coverage_ratio": 1.29, **_AGES}, gives=0.88, within=0.005, source="2026-02-05"),
    unit=Unit.RATIO,
    error=BAND_ERROR,
    null_rule="NULL when cost_coverage_ratio is.",
    ge=0,
)
def cost_coverage_low_ratio() -> pl.Expr:
    """Low end of the band of cost_coverage_ratio, from the bands of efficiency and of cost."""
    return pl.col("cost_coverage_ratio") * (-_coverage_spread()).exp()


@metric(
    Example(given={"cost_coverage_ratio": 1.29, **_AGES}, gives=1.90, within=0.005, source="2026-02-05"),
    unit=Unit.RATIO,
    error=BAND_ERROR,
    null_rule="NULL when cost_coverage_ratio is.",
    ge=0,
)
def cost_coverage_high_ratio() -> pl.Expr:
    """High end of the band of cost_coverage_ratio, from the bands of efficiency and of cost."""
    return pl.col("cost_coverage_ratio") * _coverage_spread().exp()


@metric(
    Example(given={"cost_coverage_ratio": 1.29}, gives=21.3, within=0.05, source="2026-02-05"),
    Example(given={"cost_coverage_ratio": 1.0}, gives=50.0, within=2e-5),
    Example(given={"cost_coverage_ratio": 1.5}, gives=10.3, within=0.05),
    unit=Unit.PERCENT,
    error="Assumes that coverage is log-normal over machines, spread 0.32. Read it with its low and high case.",
    null_rule="NULL when cost_coverage_ratio is.",
    ge=0,
    le=100,
)
def fleet_unprofitable_share_pct() -> pl.Expr:
    """Share of the network's machines that would not earn their all-in cash cost at the week's hashprice."""
    return _unprofitable_share("cost_coverage_ratio")


@metric(
    Example(given={"cost_coverage_high_ratio": 1.90}, gives=2.25, within=0.005, source="2026-02-05"),
    unit=Unit.PERCENT,
    error=BAND_ERROR,
    null_rule="NULL when cost_coverage_ratio is.",
    ge=0,
    le=100,
)
def fleet_unprofitable_share_low_pct() -> pl.Expr:
    """Low end of the band of fleet_unprofitable_share_pct, at the high end of coverage."""
    return _unprofitable_share("cost_coverage_high_ratio")


@metric(
    Example(given={"cost_coverage_low_ratio": 0.876}, gives=66.0, within=0.5, source="2026-02-05"),
    unit=Unit.PERCENT,
    error=BAND_ERROR,
    null_rule="NULL when cost_coverage_ratio is.",
    ge=0,
    le=100,
)
def fleet_unprofitable_share_high_pct() -> pl.Expr:
    """High end of the band of fleet_unprofitable_share_pct, at the low end of coverage."""
    return _unprofitable_share("cost_coverage_low_ratio")


@metric(
    Example(given={"new_fleet_revenue_usd_per_mwh": 77.1, "all_in_usd_per_mwh": 55.5}, gives=1.39, within=0.005),
    unit=Unit.RATIO,
    error="For a reference machine, not for anybody's fleet.",
    null_rule="NULL when revenue per MWh or the cost estimate is.",
    ge=0,
)
def new_fleet_cost_coverage_ratio() -> pl.Expr:
    """Revenue of recent machines over the all-in cash cost."""
    return ratio(pl.col("new_fleet_revenue_usd_per_mwh"), pl.col("all_in_usd_per_mwh"))


@metric(
    Example(given={"old_fleet_revenue_usd_per_mwh": 50.0, "all_in_usd_per_mwh": 62.5}, gives=0.8),
    unit=Unit.RATIO,
    error="For a reference machine, not for anybody's fleet.",
    null_rule="NULL when revenue per MWh or the cost estimate is.",
    ge=0,
)
def old_fleet_cost_coverage_ratio() -> pl.Expr:
    """Revenue of old machines over the all-in cash cost."""
    return ratio(pl.col("old_fleet_revenue_usd_per_mwh"), pl.col("all_in_usd_per_mwh"))


METRICS = (
    fleet_efficiency_j_per_th,
    fleet_efficiency_age_days,
    fleet_efficiency_low_j_per_th,
    fleet_efficiency_high_j_per_th,
    all_in_usd_per_mwh,
    all_in_age_days,
    revenue_usd_per_mwh,
    revenue_7d_usd_per_mwh,
    new_fleet_revenue_usd_per_mwh,
    old_fleet_revenue_usd_per_mwh,
    cost_coverage_ratio,
    cost_coverage_low_ratio,
    cost_coverage_high_ratio,
    fleet_unprofitable_share_pct,
    fleet_unprofitable_share_low_pct,
    fleet_unprofitable_share_high_pct,
    new_fleet_cost_coverage_ratio,
    old_fleet_cost_coverage_ratio,
)
