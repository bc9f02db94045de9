"""Who a contract is with, for sums by tenant, in which no contract may be left out for want of a name."""

from typing import Final

import polars as pl

from schemas.metric import metric
from schemas.units import Unit
from transforms.metrics.deals import NAMED, STATED

NOT_NAMED: Final = "not_named"


@metric(unit=Unit.LABEL, error=STATED, null_rule=None)
def tenant() -> pl.Expr:
    """Company that signs the contracts, in `company`, a subsidiary under its group; not_named is all that have none."""
    return pl.col("tenant")


@metric(unit=Unit.LABEL, error=NAMED, null_rule=None)
def tenant_name() -> pl.Expr:
    """Name of the company that signs the contracts; not_named where no source names it."""
    return pl.col("tenant_name")


METRICS: Final = (tenant, tenant_name)
