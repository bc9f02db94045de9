"""The newest day of a publication: state, score with its parts, figures of miners, network and conversion."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import Any, Final

import polars as pl

from flows.reports.brief import ZONES, change_of, in_full
from flows.reports.page.given import Given
from flows.reports.summary import CONVERSION, FIGURES, MONTH, PARTS, change_in_words, number, words
from schemas.freshness import Freshness, freshness_of
from transforms.capitulation import CAPITULATIONS, DEEP_CAPITULATION, NORMAL, RECOVERY
from warehouse.publication_queries import Row

BILLION: Final = 1e9
MILLION: Final = 1e6
SCORE: Final = (("Capitulation score", "capitulation_score", 1.0, "{:.1f} of 100"),)
NETWORK: Final = (
    ("Security budget", "security_budget_usd_year", BILLION, "{:,.2f} bn USD a year"),
    ("  of the value of all coins", "security_budget_of_market_value_pct", 1, "{:.2f} %"),
    ("Hash rate below its highest", "hashrate_drawdown_pct", 1, "{:.1f} %"),
    ("Hash rate gone for good, low", "drawdown_permanent_low_ehs", 1, "{:,.1f} EH/s"),
    ("Hash rate gone for good, high", "drawdown_permanent_high_ehs", 1, "{:,.1f} EH/s"),
    ("Machines for an attack", "attack_hardware_usd", BILLION, "{:,.2f} bn USD"),
    ("Energy of an attack", "attack_energy_usd_per_hour", MILLION, "{:,.2f} M USD an hour"),
    ("Concentration of pools", "pool_hhi_index", 1, "{:,.0f} index points"),
    ("Pools that make half of the blocks", "nakamoto_coefficient_count", 1, "{:.0f}"),
    ("Blocks of the two largest pools", "top2_pool_share_pct", 1, "{:.1f} %"),
)
LEASES: Final = (
    ("Critical IT power switched on, at least", "energised_critical_it_mw", 1, "{:,.0f} MW"),
    ("Lease, for a MW drawn and a year", "lease_gross_usd_per_mw_year", MILLION, "{:,.2f} M USD"),
    ("Mining, for the same", "mining_usd_per_mw_year", MILLION, "{:,.2f} M USD"),
    ("Lease over mining", "lease_to_mining_ratio", 1, "{:.1f}"),
    ("Displaced hash rate, low", "displaced_hashrate_low_ehs", 1, "{:,.1f} EH/s"),
    ("Displaced hash rate, high", "displaced_hashrate_high_ehs", 1, "{:,.1f} EH/s"),
    ("AI capex, last four quarters known", "capex_trailing_12m_usd", BILLION, "{:,.0f} bn USD"),
)
NO_DAY: Final[Row] = {}


def figures(
    table: str, listed: Sequence[tuple[str, str, float, str]], newest: Row, before: Row
) -> Iterator[dict[str, Any]]:
    """One figure a row: key of its column, label, value, the one 30 days before without unit, the change, the zone."""
    for label, column, unit, shape in in_full(listed):
        yield {
            "key": f"{table}.{column}",
            "label": label,
            "value": number(newest.get(column), shape, unit),
            "before": number(before.get(column), shape[: shape.index("}") + 1], unit),
            "change": change_of(column, newest.get(column), before.get(column)),
            "zone": words(newest[ZONES[column]]) if column in ZONES else "",
        }


def today(given: Given) -> dict[str, Any]:
    """What the first screen shows."""
    days = given.tables["capitulation_daily"]
    newest = given.newest_scored()
    before = day_of(days, newest["day"] - timedelta(days=1))
    reached = freshness(given)
    return {
        "day": newest["day"],
        "state": words(newest["capitulation_state"]),
        "tone": tone(newest["capitulation_state"]),
        "score": number(newest["capitulation_score"], "{:.1f}"),
        "points": newest["capitulation_score"] or 0,
        "moved": _moved(newest["capitulation_score"], before.get("capitulation_score")),
        "parts": list(_parts(newest, before)),
        "revenue": change_in_words(newest),
        "is_simulated": newest["sources"] == "simulated",
        "is_final": bool(newest["is_final"]),
        "last_day": days["day"][-1],
        "reached": reached.reached(),
        "days_behind": reached.days_behind,
        "late": reached.listed(),
    }


def miners(given: Given) -> list[dict[str, Any]]:
    """Figures of `capitulation_daily` on its newest day with a score."""
    newest = given.newest_scored()
    before = day_of(given.tables["capitulation_daily"], newest["day"] - MONTH)
    return list(figures("capitulation_daily", (*SCORE, *FIGURES), newest, before))


def network(given: Given) -> list[dict[str, Any]]:
    """Figures of `security_daily` on the same day."""
    day, rows = given.newest_scored()["day"], given.tables["security_daily"]
    return list(figures("security_daily", NETWORK, day_of(rows, day), day_of(rows, day - MONTH)))


def conversion(given: Given) -> list[dict[str, Any]]:
    """Figures of `conversion_daily` on its last day, which the registry reaches."""
    rows = given.tables["conversion_daily"]
    newest = rows.row(-1, named=True)
    return list(figures("conversion_daily", (*CONVERSION, *LEASES), newest, day_of(rows, newest["day"] - MONTH)))


def freshness(given: Given) -> Freshness:
    """How far the publication reaches."""
    return freshness_of(given.meta["freshness"].iter_rows(named=True), date.fromisoformat(given.about["day"]))


def day_of(rows: pl.DataFrame, day: Any) -> Row:
    """The row of `day`; an empty one where there is none."""
    found = rows.filter(pl.col("day") == day)
    return NO_DAY if found.is_empty() else found.row(0, named=True)


def tone(state: str | None) -> str:
    """Name of the colour of a state, beside which its word always stands."""
    names: Mapping[str | None, str] = {None: "unknown", NORMAL: "calm", RECOVERY: "recovery", DEEP_CAPITULATION: "deep"}
    return names.get(state, "capitulation" if state in CAPITULATIONS else "strained")


def _parts(newest: Row, before: Row) -> Iterator[dict[str, Any]]:
    for label, column, most in PARTS:
        points, earlier = newest[column], before.get(column)
        yield {
            "key": f"capitulation_daily.{column}",
            "label": label.capitalize(),
            "most": most,
            "points": points or 0,
            "value": number(points, "{:.1f}"),
            "moved": _moved(points, earlier),
        }


def _moved(points: float | None, earlier: float | None) -> str:
    return "" if points is None or earlier is None else f"{points - earlier:+.1f}"
