"""A standing deal as the registry has it, its parties and its site by name, and whether it binds and is verified."""

from typing import Final

import polars as pl

from schemas.metric import Example, Metric, metric
from schemas.registry import CONVERSION_DEAL, CUSTOMER_CONTRACT, UNVERIFIED, VERIFIED
from schemas.units import AMOUNTS, Aggregation, Unit

STATED: Final = "As the registry has it: see source_url and confidence."
NAMED: Final = "The name at the last edit of the registry: `company_name` has earlier ones."
BINDING: Final = pl.col("kind").is_in(CUSTOMER_CONTRACT)


def as_in_registry(name: str) -> Metric:
    """A column of `conversion_deal` as it is there, its description included."""
    column = CONVERSION_DEAL.columns[name]
    unit = next(unit for unit in Unit if unit.label == (column.metadata or {})["unit"])
    return Metric(
        name=name,
        group="deals",
        rows=None,
        unit=unit,
        expr=pl.col(name),
        description=f"{column.description}.",
        error=STATED,
        null_rule="NULL where no source states it." if column.nullable else None,
        examples=(),
        ge=None if unit in (Unit.LABEL, Unit.DAY) else 0,
        le=None,
        labels=None,
        history_days=1,
        # One row a deal: its power and its money count once.
        aggregation=Aggregation.SUM if unit in AMOUNTS else Aggregation.NONE,
    )


@metric(unit=Unit.LABEL, error=NAMED, null_rule=None)
def miner_name() -> pl.Expr:
    """Name of the company that supplies the power and the building."""
    return pl.col("miner_name")


@metric(unit=Unit.LABEL, error=NAMED, null_rule="NULL where the tenant is not named.")
def tenant_name() -> pl.Expr:
    """Name of the company that signs the contract."""
    return pl.col("tenant_name")


@metric(unit=Unit.LABEL, error=STATED, null_rule="NULL where the site is not known or not one site.")
def site_name() -> pl.Expr:
    """Name of the site."""
    return pl.col("site_name")


@metric(
    Example(given={"kind": "extension"}, gives=True),
    Example(given={"kind": "letter_of_intent"}, gives=False),
    unit=Unit.YES_NO,
    error="Exact.",
    null_rule=None,
)
def is_binding() -> pl.Expr:
    """Whether a customer is bound: the deals that are counted, and the only ones with power and value."""
    return BINDING


@metric(
    Example(given={"confidence": "reported"}, gives=True),
    Example(given={"confidence": UNVERIFIED}, gives=False),
    unit=Unit.YES_NO,
    error="As good as the confidence that the registry states.",
    null_rule=None,
)
def is_verified() -> pl.Expr:
    """Whether the deal rests on a text with an address: the headline figures of `conversion_daily` are of these."""
    return VERIFIED


METRICS: Final = (miner_name, tenant_name, site_name, is_binding, is_verified)
