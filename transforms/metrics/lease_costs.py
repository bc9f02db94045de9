"""What the building of a leased data centre costs, and which part of it the miner pays."""

from typing import Final

import polars as pl

from schemas.metric import Example, Scalar, metric
from schemas.registry import CONVERTED, NEW_BUILDING
from schemas.units import PERCENT, Aggregation, Unit
from transforms.metrics.leases import ASSUMED, STATED, discounted_years

NO_COST: Final = "NULL when no cost is stated and the critical power is not either."
CREDITED: Final = (
    "Whether the tenant's money is credited against the rent is not in the texts: never in the low cost, over the base "
    "term and without interest in the middle one, at once in the high one."
)
BUILDING: Final[dict[str, Scalar]] = {"capex_usd": None, "critical_it_mw": 70.0, "building": None}
FUNDED: Final[dict[str, Scalar]] = {
    "building_cost_usd": 1e9,
    "discount_rate_pct": 10.0,
    "term_years": 12.0,
    "energise_lag_years": 1.5,
}
PER_MW: Final[dict[str, dict[str, Scalar]]] = {
    "low_": {"new_building_low_usd_per_mw": 8e6, "converted_low_usd_per_mw": 3.6e6},
    "": {"new_building_usd_per_mw": 10e6, "converted_usd_per_mw": 5e6},
    "high_": {"new_building_high_usd_per_mw": 15e6, "converted_high_usd_per_mw": 7.1e6},
}


@metric(unit=Unit.LABEL, error=STATED, null_rule="NULL where not known.", labels=(NEW_BUILDING, CONVERTED))
def building() -> pl.Expr:
    """Whether the building is new or converted from one that stood."""
    return pl.col("building")


def _cost(unless: str, otherwise: str, case: str) -> pl.Expr:
    """Cost as stated, or else as assumed of the kind `unless` if that is known, and of the kind `otherwise` if not."""
    columns = {NEW_BUILDING: f"new_building_{case}usd_per_mw", CONVERTED: f"converted_{case}usd_per_mw"}
    known = pl.col("building").eq_missing(pl.lit(unless))
    per_mw = pl.when(known).then(pl.col(columns[unless])).otherwise(pl.col(columns[otherwise]))
    return pl.coalesce("capex_usd", pl.col("critical_it_mw") * per_mw)


@metric(
    Example(given=BUILDING | PER_MW["low_"], gives=3.6e6 * 70, source="not known to be new"),
    Example(given=BUILDING | PER_MW["low_"] | {"building": NEW_BUILDING}, gives=8e6 * 70),
    unit=Unit.USD,
    error=f"{ASSUMED} Stated by few: see cost_is_assumed.",
    aggregation=Aggregation.SUM,
    null_rule=NO_COST,
    ge=0,
)
def building_cost_low_usd() -> pl.Expr:
    """Least cost of the building: as stated, or that of a converted one unless it is new."""
    return _cost(NEW_BUILDING, CONVERTED, "low_")


@metric(
    Example(given=BUILDING | PER_MW[""], gives=10e6 * 70, source="not known to be converted"),
    Example(given=BUILDING | PER_MW[""] | {"building": CONVERTED}, gives=5e6 * 70),
    Example(
        given=BUILDING | PER_MW[""] | {"capex_usd": 89_800_000, "critical_it_mw": 25.0},
        gives=89.8e6,
        source="Riot's retrofit",
    ),
    unit=Unit.USD,
    error=f"{ASSUMED} Stated by few: see cost_is_assumed.",
    aggregation=Aggregation.SUM,
    null_rule=NO_COST,
    ge=0,
)
def building_cost_usd() -> pl.Expr:
    """Cost of the building and its power, servers left out: as stated, or as assumed, of a new one unless converted."""
    return _cost(CONVERTED, NEW_BUILDING, "")


@metric(
    Example(given=BUILDING | PER_MW["high_"], gives=15e6 * 70, source="not known to be converted"),
    Example(given=BUILDING | PER_MW["high_"] | {"building": CONVERTED}, gives=7.1e6 * 70),
    unit=Unit.USD,
    error=f"{ASSUMED} Stated by few: see cost_is_assumed.",
    aggregation=Aggregation.SUM,
    null_rule=NO_COST,
    ge=0,
)
def building_cost_high_usd() -> pl.Expr:
    """Most cost of the building: as stated, or that of a new one unless it is converted."""
    return _cost(CONVERTED, NEW_BUILDING, "high_")


@metric(
    unit=Unit.PERCENT,
    error="Of all the miner's capital expenditure in the quarters that are reported, other sites included.",
    null_rule="NULL where no report has the tenant pay for building. Not 0: 0 would be a stated none.",
    ge=0,
    le=100,
)
def tenant_funded_pct() -> pl.Expr:
    """Part of the miner's capital expenditure that this tenant paid, by `tenant_funding`."""
    return pl.col("tenant_funded_pct")


@metric(
    Example(given={"building_cost_usd": 1e9, "tenant_funded_pct": 75.0}, gives=750e6),
    Example(given={"building_cost_usd": 1e9, "tenant_funded_pct": None}, gives=None),
    unit=Unit.USD,
    error=f"{ASSUMED} {CREDITED}",
    aggregation=Aggregation.SUM,
    null_rule="NULL where the cost or the tenant's part is.",
    ge=0,
)
def tenant_funded_usd() -> pl.Expr:
    """Part of building_cost_usd that the tenant pays."""
    return pl.col("building_cost_usd") * pl.col("tenant_funded_pct") / PERCENT


_PAID = pl.col("tenant_funded_pct").fill_null(0) / PERCENT


@metric(
    Example(given={"building_cost_low_usd": 1e9, "tenant_funded_pct": 75.0}, gives=250e6),
    unit=Unit.USD,
    error=f"{ASSUMED} {CREDITED}",
    aggregation=Aggregation.SUM,
    null_rule=NO_COST,
    ge=0,
)
def miner_capex_low_usd() -> pl.Expr:
    """Least cost to the miner: the building's least, less all that the tenant pays of it."""
    return pl.col("building_cost_low_usd") * (1 - _PAID)


@metric(
    Example(given=FUNDED | {"tenant_funded_pct": 75.0, "discount_rate_pct": 0.0}, gives=1e9, source="no interest"),
    Example(
        given=FUNDED | {"tenant_funded_pct": 75.0},
        gives=250e6 + 750e6 * 0.5162,
        within=0.1e6,
        source="750 M credited in twelve equal parts are worth 0.5162 of it at 10 %",
    ),
    Example(given=FUNDED | {"tenant_funded_pct": None}, gives=1e9, source="no tenant known to pay"),
    unit=Unit.USD,
    error=f"{ASSUMED} {CREDITED}",
    aggregation=Aggregation.SUM,
    null_rule=NO_COST + " NULL too where a tenant pays a part and the term is not stated.",
    ge=0,
)
def miner_capex_usd() -> pl.Expr:
    """Cost to the miner: its part of building_cost_usd, and the worth of the rent that goes to the tenant's part."""
    credited = discounted_years(pl.lit(0.0)) / pl.col("term_years")
    cost = pl.col("building_cost_usd")
    shared = cost * (1 - _PAID * (1 - credited))
    return pl.when(pl.col("tenant_funded_pct").is_null()).then(cost).otherwise(shared)


@metric(
    Example(given={"building_cost_high_usd": 1.5e9}, gives=1.5e9),
    unit=Unit.USD,
    error=ASSUMED,
    aggregation=Aggregation.SUM,
    null_rule=NO_COST,
    ge=0,
)
def miner_capex_high_usd() -> pl.Expr:
    """Most cost to the miner: all of the building's most, as if the tenant's part were credited at once."""
    return pl.col("building_cost_high_usd")


@metric(
    Example(given={"capex_usd": None}, gives=True),
    unit=Unit.YES_NO,
    error="Exact.",
    null_rule=None,
)
def cost_is_assumed() -> pl.Expr:
    """Whether the miner does not state the cost."""
    return pl.col("capex_usd").is_null()


METRICS = (
    building,
    building_cost_low_usd,
    building_cost_usd,
    building_cost_high_usd,
    tenant_funded_pct,
    tenant_funded_usd,
    miner_capex_low_usd,
    miner_capex_usd,
    miner_capex_high_usd,
    cost_is_assumed,
)
