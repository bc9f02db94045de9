"""The economics of mining and leasing on a user's own numbers, by the metrics that are published."""

from dataclasses import dataclass
from datetime import date
from typing import Any, Final

import polars as pl

from schemas.errors import SettingsError
from schemas.metric import Metric
from transforms.derive import derive
from transforms.inputs.conversion import conversion_days
from transforms.inputs.leases import standing_contracts
from transforms.metrics import cost, drawdown, economics, lease_costs, leases
from warehouse.registry import load_registry

LIMITS: Final = {"hashprice": (0.1, 10_000.0), "power price": (0.0, 1_000.0), "efficiency": (1.0, 500.0)}
"""USD per PH/s per day, USD per MWh, J/TH: what lies outside is a slip of units."""
LEASE_COLUMNS: Final = (
    "deal_id",
    "lease_type",
    "contract_usd_per_mw_year",
    "npv_low_usd",
    "npv_usd",
    "npv_high_usd",
    "npv_after_mining_usd",
    "irr_pct",
    "payback_years",
    "contract_backstop_coverage_pct",
)

MEANINGS: Final[tuple[tuple[Metric, str], ...]] = (
    (
        cost.revenue_usd_per_mwh,
        "What one MWh earns in your machines at your hashprice; also the power price at which they break even.",
    ),
    (cost.cost_coverage_ratio, "That revenue over your power price; below 1 your machines run at a loss."),
    (drawdown.break_even_j_per_th, "Efficiency at which a machine just earns your power price at your hashprice."),
    (economics.lease_usd_per_mw_year, economics.lease_usd_per_mw_year.description),
    (economics.lease_gross_usd_per_mw_year, economics.lease_gross_usd_per_mw_year.description),
    (
        economics.mining_usd_per_mw_year,
        "Revenue of your machines per megawatt drawn from the utility and year, at the assumed uptime.",
    ),
    (
        economics.lease_to_mining_ratio,
        "Revenue of leases over that of your machines, both per megawatt drawn from the utility.",
    ),
    (
        economics.parity_hashprice_usd_per_phs_day,
        "Hashprice at which your machines would earn per megawatt, after your power price, what a lease does.",
    ),
)
"""The figures, each after those that it reads, and what they mean with a user's own numbers.

What the metrics state of the network's mean fleet and of a survey's cost is here about the user's.
"""
FIGURES: Final[tuple[Metric, ...]] = tuple(figure for figure, _ in MEANINGS)


PRINTED_COLUMNS: Final = ("deal_id", "contract_usd_per_mw_year", "npv_usd", "npv_after_mining_usd", "payback_years")
"""Of the leases, on a terminal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Economics:
    """Results for the given numbers: each figure under the name of its metric, and one row a contract."""

    figures: dict[str, float | None]
    contracts: pl.DataFrame


def whatif(*, hashprice: float, power_price: float, efficiency: float, day: date) -> Economics:
    """Recompute the economics of the leases known on `day` with a user's hashprice, power price and efficiency.

    `hashprice` in USD per PH/s per day; `power_price` in USD per MWh, all costs of running included; `efficiency` in
    J/TH, the cooling included. Raises `SettingsError` for a number that can only be a slip of units.
    """
    given = {"hashprice": hashprice, "power price": power_price, "efficiency": efficiency}
    for name, value in given.items():
        least, most = LIMITS[name]
        if not least <= value <= most:
            raise SettingsError(name, value, f"{least:g} to {most:g}", "give it in the unit that --help names")
    registry = load_registry()
    own = {
        "hashprice_usd_per_phs_day": hashprice,
        "fleet_efficiency_j_per_th": efficiency,
        "all_in_usd_per_mwh": power_price,
    }
    today = conversion_days(registry, day, day).with_columns(pl.lit(float(v)).alias(k) for k, v in own.items())
    # A hashprice of one's own is also the mean of its week.
    week = derive(today, (cost.revenue_usd_per_mwh,))["revenue_usd_per_mwh"].alias("revenue_7d_usd_per_mwh")
    row = derive(today.with_columns(week), FIGURES)
    valued = derive(standing_contracts(registry, row, day), (*leases.METRICS, *lease_costs.METRICS))
    return Economics(
        figures={m.name: row[m.name][0] for m in FIGURES},
        contracts=valued.select(LEASE_COLUMNS).sort("npv_usd", "deal_id", descending=[True, False], nulls_last=True),
    )


def described() -> dict[str, tuple[str, str]]:
    """Unit and meaning of each figure."""
    return {m.name: (m.unit.label, meaning) for m, meaning in MEANINGS}


def as_json(economics: Economics) -> dict[str, Any]:
    """The results for a program."""
    return {"figures": economics.figures, "contracts": economics.contracts.to_dicts()}
