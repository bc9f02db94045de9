"""Conversion of miners' power to AI: contracts, credit support and spending plans, as announced up to the day."""

from typing import Final

import polars as pl

from schemas.metric import Example, metric
from schemas.units import Unit
from transforms.windows import ratio

ANNOUNCED: Final = (
    "Announced, not delivered. A hand-kept registry: deals nobody found are missing, and of some only the month of "
    "announcement is sourced. A row carries the figures known at its last edit from the day it was announced."
)
LOWER_BOUND: Final = f"Lower bound: contracts that do not state it add nothing. {ANNOUNCED}"
GUIDANCE: Final = (
    "Companies differ in what they count (leases, net or gross). Moves when a company is added, so read it beside "
    "capex_guidance_company_count. The registry begins in October 2025."
)
NO_GUIDANCE: Final = "NULL while no company of the registry guides for the year of the day."


@metric(unit=Unit.COUNT, dtype=pl.Int64, error=ANNOUNCED, null_rule=None, ge=0)
def deal_count() -> pl.Expr:
    """Contracts with a customer announced up to the day and not ended; a tranche or an extension is one of its own."""
    return pl.col("deal_count")


@metric(unit=Unit.COUNT, dtype=pl.Int64, error=ANNOUNCED, null_rule=None, ge=0)
def other_announcement_count() -> pl.Expr:
    """Letters of intent, joint ventures and acquisitions standing on the day, which add neither power nor value."""
    return pl.col("other_announcement_count")


@metric(unit=Unit.MEGAWATT, dtype=pl.Float64, error=LOWER_BOUND, null_rule=None, ge=0)
def contracted_critical_it_mw() -> pl.Expr:
    """Power for servers, storage and network in the contracts standing on the day, 0 before the first of them."""
    return pl.col("contracted_critical_it_mw")


@metric(unit=Unit.MEGAWATT, dtype=pl.Float64, error=LOWER_BOUND, null_rule=None, ge=0)
def contracted_critical_it_sourced_mw() -> pl.Expr:
    """Part of contracted_critical_it_mw whose rows rest on a citable source, unverified rows left out."""
    return pl.col("contracted_critical_it_sourced_mw")


@metric(unit=Unit.COUNT, dtype=pl.Int64, error=ANNOUNCED, null_rule=None, ge=0)
def critical_it_mw_undisclosed_count() -> pl.Expr:
    """Contracts standing on the day that do not state their critical power, extensions left out."""
    return pl.col("critical_it_mw_undisclosed_count")


@metric(
    unit=Unit.MEGAWATT,
    dtype=pl.Float64,
    error=f"{LOWER_BOUND} Includes private former miners: Crusoe's Abilene alone is 2,100 MW.",
    null_rule=None,
    ge=0,
)
def contracted_gross_mw() -> pl.Expr:
    """Power drawn from the utility in the contracts standing on the day that state it; not to be added to critical."""
    return pl.col("contracted_gross_mw")


@metric(unit=Unit.USD, dtype=pl.Float64, error=f"{LOWER_BOUND} Includes GPU cloud.", null_rule=None, ge=0)
def contracted_value_usd() -> pl.Expr:
    """Undiscounted revenue of the base terms of the contracts standing on the day, extension options left out."""
    return pl.col("contracted_value_usd")


@metric(unit=Unit.USD, dtype=pl.Float64, error=f"{LOWER_BOUND} Includes GPU cloud.", null_rule=None, ge=0)
def contracted_value_sourced_usd() -> pl.Expr:
    """Part of contracted_value_usd whose rows rest on a citable source, unverified rows left out."""
    return pl.col("contracted_value_sourced_usd")


@metric(unit=Unit.COUNT, dtype=pl.Int64, error=ANNOUNCED, null_rule=None, ge=0)
def contract_value_undisclosed_count() -> pl.Expr:
    """Contracts standing on the day whose value is not disclosed."""
    return pl.col("contract_value_undisclosed_count")


@metric(
    unit=Unit.YEARS,
    dtype=pl.Float64,
    error=f"Contracts that state only one of power and term are left out, extensions among them. {ANNOUNCED}",
    null_rule="NULL while no standing contract states both its critical power and its term.",
    ge=0,
    examples=[
        Example(
            given={"termed_mw_years": 245 * 15.0 + 200 * 5.0, "termed_mw": 445.0},
            gives=4_675 / 445,
            source="a lease of 245 MW for 15 years and one of 200 MW for 5",
        ),
        Example(given={"termed_mw_years": 0.0, "termed_mw": 0.0}, gives=None, source="nothing announced yet"),
    ],
)
def mean_term_years() -> pl.Expr:
    """Mean base term of the contracts standing on the day, weighted by their critical power."""
    return ratio(pl.col("termed_mw_years"), pl.col("termed_mw"))


@metric(
    unit=Unit.USD_PER_MEGAWATT_YEAR,
    dtype=pl.Float64,
    error=f"Per MW of critical power, where mining is measured in gross. Some values are derived. {ANNOUNCED}",
    null_rule="NULL while no standing lease states value, critical power and term.",
    ge=0,
    examples=[
        Example(
            given={"lease_value_usd": 7.0e9, "lease_mw_years": 245.0 * 15},
            gives=1.90e6,
            within=0.005e6,
            source="Hut 8 River Bend, December 2025",
        ),
        Example(
            given={"lease_value_usd": 6.7e9, "lease_mw_years": 360.0 * 10},
            gives=1.86e6,
            within=0.005e6,
            source="TeraWulf Lake Mariner, August 2025",
        ),
        Example(
            given={"lease_value_usd": 3.0e9, "lease_mw_years": 168.0 * 10},
            gives=1.79e6,
            within=0.005e6,
            source="Cipher Barber Lake, September 2025",
        ),
        Example(
            given={"lease_value_usd": 9.5e9, "lease_mw_years": 168.0 * 25},
            gives=2.26e6,
            within=0.005e6,
            source="TeraWulf Abernathy, October 2025",
        ),
        Example(
            given={"lease_value_usd": 8.7e9, "lease_mw_years": 500.0 * 12},
            gives=1.45e6,
            within=0.005e6,
            source="Core Scientific and CoreWeave, October 2024",
        ),
        Example(given={"lease_value_usd": 0.0, "lease_mw_years": 0.0}, gives=None, source="nothing announced yet"),
    ],
)
def lease_usd_per_mw_year() -> pl.Expr:
    """Revenue per critical megawatt and year of the leases standing on the day, GPU cloud left out."""
    return ratio(pl.col("lease_value_usd"), pl.col("lease_mw_years"))


@metric(
    unit=Unit.USD,
    dtype=pl.Float64,
    error=f"Lower bound: supports without a disclosed amount add nothing. {ANNOUNCED}",
    null_rule=None,
    ge=0,
)
def backstop_usd() -> pl.Expr:
    """Guarantees and letters of credit behind standing contracts, prepayments and equity rights left out."""
    return pl.col("backstop_usd")


@metric(
    unit=Unit.USD,
    dtype=pl.Float64,
    error=f"Lower bound: supports without a disclosed amount add nothing. {ANNOUNCED}",
    null_rule=None,
    ge=0,
)
def google_backstop_usd() -> pl.Expr:
    """Part of backstop_usd that Google gives."""
    return pl.col("google_backstop_usd")


@metric(unit=Unit.COUNT, dtype=pl.Int64, error=ANNOUNCED, null_rule=None, ge=0)
def backstop_undisclosed_count() -> pl.Expr:
    """Guarantees and letters of credit behind standing contracts, announced without an amount."""
    return pl.col("backstop_undisclosed_count")


@metric(unit=Unit.USD, dtype=pl.Float64, error=GUIDANCE, null_rule=NO_GUIDANCE, ge=0)
def capex_guidance_low_usd() -> pl.Expr:
    """Low ends of what large technology companies say they will spend in the calendar year of the day, summed."""
    return pl.col("capex_guidance_low_usd")


@metric(unit=Unit.USD, dtype=pl.Float64, error=GUIDANCE, null_rule=NO_GUIDANCE, ge=0)
def capex_guidance_high_usd() -> pl.Expr:
    """High ends of what large technology companies say they will spend in the calendar year of the day, summed."""
    return pl.col("capex_guidance_high_usd")


@metric(
    unit=Unit.USD,
    dtype=pl.Float64,
    error=GUIDANCE,
    null_rule=NO_GUIDANCE,
    ge=0,
    examples=[
        Example(
            given={"capex_guidance_low_usd": 490e9, "capex_guidance_high_usd": 520e9},
            gives=505e9,
            source="Amazon 200, Alphabet 175 to 185 and Meta 115 to 135 bn, standing on 2026-02-05",
        ),
        Example(given={"capex_guidance_low_usd": None, "capex_guidance_high_usd": None}, gives=None),
    ],
)
def capex_guidance_usd() -> pl.Expr:
    """Midpoints of the companies' own latest guidance for the calendar year of the day, analysts' left out, summed."""
    return (pl.col("capex_guidance_low_usd") + pl.col("capex_guidance_high_usd")) / 2


@metric(unit=Unit.COUNT, dtype=pl.Int64, error="The registry begins in October 2025.", null_rule=None, ge=0)
def capex_guidance_company_count() -> pl.Expr:
    """Companies whose own guidance for the calendar year of the day stands."""
    return pl.col("capex_guidance_company_count")


METRICS = (
    deal_count,
    other_announcement_count,
    contracted_critical_it_mw,
    contracted_critical_it_sourced_mw,
    critical_it_mw_undisclosed_count,
    contracted_gross_mw,
    contracted_value_usd,
    contracted_value_sourced_usd,
    contract_value_undisclosed_count,
    mean_term_years,
    lease_usd_per_mw_year,
    backstop_usd,
    google_backstop_usd,
    backstop_undisclosed_count,
    capex_guidance_usd,
    capex_guidance_low_usd,
    capex_guidance_high_usd,
    capex_guidance_company_count,
)
