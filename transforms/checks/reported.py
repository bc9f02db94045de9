"""Checks of our own figures against those that a vendor computes itself and reports for it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

import polars as pl

from schemas.check import Check
from schemas.units import PERCENT
from transforms.checks.days import RECENT_DAYS


@dataclass(frozen=True, slots=True, kw_only=True)
class Reported:
    """A column of ours, the series in which a vendor reports the same, and how far apart they may be.

    `tolerance`: of the median over all days; in the unit of the column, or in percent of the reported value where
    `relative`. `defined_as`: the column of ours that a supplier's figure is compared with instead, where it defines the
    figure otherwise than most. `same_supplier_as`: the series that our figure is made of; the levels of two vendors'
    flows differ by 100 %, so a figure from another one's is compared without any claim. `made_of`: series of which ours
    is computed; where one is unknown ours is the vendor's own, and is not compared.
    """

    title: str
    column: str
    series: str
    tolerance: float
    relative: bool = False
    defined_as: Mapping[str, str] = field(default_factory=dict)
    same_supplier_as: str | None = None
    made_of: tuple[str, ...] = ()


REPORTED: Final = (
    # Ours against the same formula at CryptoQuant's own prices (reward in USD over reward), 4,539 days of 2013 to
    # 2026: median 0.011, one day in twenty beyond 0.089. Its divisor, n or n - 1, is not known: 0.0008.
    Reported(
        title="Miners' Position Index",
        column="mpi_zscore",
        series="reported_mpi_zscore",
        tolerance=0.05,
        same_supplier_as="miner_outflow_sat",
    ),
    # The same two prices, 4,829 days: median 0.83 %, one day in twenty beyond 4.6 %. CryptoQuant's is made of revenue,
    # fees included: correlation 0.9987.
    Reported(
        title="Puell Multiple",
        column="puell_issuance_ratio",
        series="reported_puell_ratio",
        tolerance=2,
        relative=True,
        defined_as=dict.fromkeys(("cryptoquant", "cryptoquant_export"), "puell_revenue_ratio"),
    ),
    # A price of each block against one of the day, 4,829 days: median 0.83 %, one day in twenty beyond 4.7 %.
    Reported(
        title="Miner revenue",
        column="miner_revenue_usd",
        series="reward_usd",
        tolerance=2,
        relative=True,
    ),
    # A vendor's own product of two figures that it states: 3e-5 at most, where prices of cents have few digits.
    Reported(
        title="Issuance in USD",
        column="issuance_usd",
        series="reported_issuance_usd",
        tolerance=2,
        relative=True,
        made_of=("issuance_sat", "price_usd"),
    ),
)


def check_reported(resolved: pl.DataFrame, days: pl.DataFrame, chosen: Mapping[str, str]) -> Iterator[Check]:
    """Report how far our figures are from the vendors': one check a figure that somebody reports.

    `resolved` holds the reported series by day, `days` is the finished `capitulation_daily`, `chosen` the supplier of
    each series.
    """
    for each in REPORTED:
        if each.series not in chosen:
            continue
        supplier = chosen[each.series]
        column = each.defined_as.get(supplier, each.column)
        compared = (
            resolved.select("day", each.series, *each.made_of)
            .drop_nulls()
            .join(days.select("day", column).drop_nulls(), on="day", how="inner", validate="1:1")
        )
        if each.relative:
            compared = compared.filter(pl.col(each.series) > 0)
        if compared.is_empty():
            continue
        difference = (pl.col(column) - pl.col(each.series)).abs()
        if each.relative:
            difference = difference / pl.col(each.series) * PERCENT
        unit = " %" if each.relative else ""
        median, rarely = compared.select(
            difference.median().alias("median"), difference.quantile(0.95).alias("rarely")
        ).row(0)
        comparable = each.same_supplier_as is None or chosen.get(each.same_supplier_as) == supplier
        yield Check(
            check_name=f"{each.title} agrees with that of {supplier}",
            severity="warning" if comparable else "notice",
            passed=median <= each.tolerance or not comparable,
            value=median,
            expected=f"median difference up to {each.tolerance:g}{unit}" if comparable else "",
            detail=(
                f"median difference {median:.4f}{unit}, one day in twenty beyond {rarely:.4f}{unit}, "
                f"over {compared.height} days"
                + ("" if comparable else f"; ours is made of another supplier's {each.same_supplier_as}")
            ),
        )


def check_reported_hashrate(resolved: pl.DataFrame, days: pl.DataFrame) -> Iterator[Check]:
    """Compare our hash rate with the one a vendor reports, on days on which ours is not the vendor's own."""
    parts = ("block_count", "difficulty")
    compared = (
        resolved.select("day", "reported_hashrate_ehs")
        .drop_nulls()
        .join(days.select("day", "hashrate_ehs", *parts).drop_nulls(), on="day", how="inner", validate="1:1")
    )
    if compared.is_empty():
        return
    apart = (pl.col("hashrate_ehs") / pl.col("reported_hashrate_ehs") - 1).abs().median() * PERCENT
    for when, judged, most in (
        ("", compared, 0.01),
        (" lately", compared.sort("day").tail(RECENT_DAYS), 1.0),
    ):
        difference = judged.select(apart).item()
        yield Check(
            check_name=f"hash rate agrees with the vendor's{when}",
            severity="warning",
            passed=difference <= most,
            value=difference,
            expected=f"median difference up to {most:g} %",
            detail=f"median difference {difference:.7f} % over {judged.height} days",
        )
