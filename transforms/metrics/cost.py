"""Revenue per unit of energy against what energy costs: is mining worth its power?"""

import polars as pl

from schemas.metric import Example, metric
from schemas.units import HOURS_PER_DAY, Unit
from transforms.windows import ratio

MWH_PER_KW_DAY = HOURS_PER_DAY / 1_000
"""A PH/s at one J/TH draws one kilowatt, so its day takes this many MWh."""

FLEET_ERROR = "As good as the dated fleet estimate: a third lower efficiency moves it by a third."


def _revenue_per_mwh(efficiency: str, pue: str) -> pl.Expr:
    return ratio(pl.col("hashprice_usd_per_phs_day"), MWH_PER_KW_DAY * pl.col(efficiency) * pl.col(pue))


@metric(
    unit=Unit.JOULE_PER_TERAHASH,
    error="Survey or model of the whole network, published months after its date; the fleet has moved since.",
    null_rule="NULL before the first estimate was published.",
    ge=0,
)
def fleet_efficiency_j_per_th() -> pl.Expr:
    """Energy the network's fleet spends per terahash, by the newest estimate published up to the day."""
    return pl.col("fleet_efficiency_j_per_th")


@metric(
    unit=Unit.USD_PER_MEGAWATT_HOUR,
    error="A survey's median; single miners pay a third to twice of it.",
    null_rule="NULL before the first estimate was published.",
    ge=0,
)
def all_in_usd_per_mwh() -> pl.Expr:
    """Cash cost of mining with one MWh, power and operations, by the newest estimate published up to the day."""
    return pl.col("all_in_usd_per_mwh")


@metric(
    unit=Unit.USD_PER_MEGAWATT_HOUR,
    error=FLEET_ERROR,
    null_rule="NULL when hashprice or the fleet estimate is.",
    ge=0,
    examples=[
        Example(
            given={"hashprice_usd_per_phs_day": 33.31, "fleet_efficiency_j_per_th": 28.2, "fleet_pue_ratio": 1.0},
            gives=49.2,
            within=0.05,
        ),
        Example(
            given={"hashprice_usd_per_phs_day": 43.34, "fleet_efficiency_j_per_th": 20.0, "fleet_pue_ratio": 1.0},
            gives=90.29,
            within=0.005,
        ),
        Example(
            given={"hashprice_usd_per_phs_day": 33.31, "fleet_efficiency_j_per_th": 30.8, "fleet_pue_ratio": 1.0},
            gives=45.0,
            within=0.1,
            source="30.8 J/TH breaks even at 45 USD/MWh",
        ),
        Example(
            given={"hashprice_usd_per_phs_day": 33.31, "fleet_efficiency_j_per_th": 25.0, "fleet_pue_ratio": 1.0},
            gives=55.5,
            within=0.05,
            source="25.0 J/TH breaks even at 55.5 USD/MWh",
        ),
        Example(
            given={"hashprice_usd_per_phs_day": 36.0, "fleet_efficiency_j_per_th": 25.0, "fleet_pue_ratio": 1.2},
            gives=50.0,
            source="a site that draws a fifth more than its machines",
        ),
    ],
)
def revenue_usd_per_mwh() -> pl.Expr:
    """What one MWh earns in the network's mean fleet; also the power price at which it would break even."""
    return _revenue_per_mwh("fleet_efficiency_j_per_th", "fleet_pue_ratio")


@metric(
    unit=Unit.USD_PER_MEGAWATT_HOUR,
    error="For a reference machine, not for anybody's fleet.",
    null_rule="NULL when hashprice is.",
    ge=0,
    examples=[
        Example(
            given={
                "hashprice_usd_per_phs_day": 33.31,
                "new_fleet_efficiency_j_per_th": 18.0,
                "new_fleet_pue_ratio": 1.0,
            },
            gives=77.1,
            within=0.05,
        )
    ],
)
def new_fleet_revenue_usd_per_mwh() -> pl.Expr:
    """What one MWh earns in a fleet of recent machines."""
    return _revenue_per_mwh("new_fleet_efficiency_j_per_th", "new_fleet_pue_ratio")


@metric(
    unit=Unit.USD_PER_MEGAWATT_HOUR,
    error="For a reference machine, not for anybody's fleet.",
    null_rule="NULL when hashprice is.",
    ge=0,
    examples=[
        Example(
            given={
                "hashprice_usd_per_phs_day": 36.0,
                "old_fleet_efficiency_j_per_th": 30.0,
                "old_fleet_pue_ratio": 1.0,
            },
            gives=50.0,
        )
    ],
)
def old_fleet_revenue_usd_per_mwh() -> pl.Expr:
    """What one MWh earns in a fleet of old machines."""
    return _revenue_per_mwh("old_fleet_efficiency_j_per_th", "old_fleet_pue_ratio")


@metric(
    unit=Unit.RATIO,
    error=FLEET_ERROR,
    null_rule="NULL when revenue per MWh or the cost estimate is.",
    ge=0,
    examples=[Example(given={"revenue_usd_per_mwh": 49.2, "all_in_usd_per_mwh": 55.5}, gives=0.887, within=0.0006)],
)
def cost_coverage_ratio() -> pl.Expr:
    """Revenue of the mean fleet over its all-in cash cost; below 1 it mines at a loss."""
    return ratio(pl.col("revenue_usd_per_mwh"), pl.col("all_in_usd_per_mwh"))


@metric(
    unit=Unit.RATIO,
    error="For a reference machine, not for anybody's fleet.",
    null_rule="NULL when revenue per MWh or the cost estimate is.",
    ge=0,
    examples=[
        Example(given={"new_fleet_revenue_usd_per_mwh": 77.1, "all_in_usd_per_mwh": 55.5}, gives=1.39, within=0.005)
    ],
)
def new_fleet_cost_coverage_ratio() -> pl.Expr:
    """Revenue of recent machines over the all-in cash cost."""
    return ratio(pl.col("new_fleet_revenue_usd_per_mwh"), pl.col("all_in_usd_per_mwh"))


@metric(
    unit=Unit.RATIO,
    error="For a reference machine, not for anybody's fleet.",
    null_rule="NULL when revenue per MWh or the cost estimate is.",
    ge=0,
    examples=[Example(given={"old_fleet_revenue_usd_per_mwh": 50.0, "all_in_usd_per_mwh": 62.5}, gives=0.8)],
)
def old_fleet_cost_coverage_ratio() -> pl.Expr:
    """Revenue of old machines over the all-in cash cost."""
    return ratio(pl.col("old_fleet_revenue_usd_per_mwh"), pl.col("all_in_usd_per_mwh"))


METRICS = (
    fleet_efficiency_j_per_th,
    all_in_usd_per_mwh,
    revenue_usd_per_mwh,
    new_fleet_revenue_usd_per_mwh,
    old_fleet_revenue_usd_per_mwh,
    cost_coverage_ratio,
    new_fleet_cost_coverage_ratio,
    old_fleet_cost_coverage_ratio,
)
