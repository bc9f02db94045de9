"""Totals of the registry, which readers rely on; they change only together with a line of the changelog."""

import re
from collections.abc import Mapping
from importlib.resources import files
from typing import Final

import polars as pl

from schemas.errors import BadInputError
from schemas.registry import BACKSTOP, CUSTOMER_CONTRACT, VERIFIED

CHANGELOG: Final = files("warehouse").joinpath("CHANGELOG.md")
LINE: Final = "Registry totals: "
BILLION: Final = 1e9

_TOTALS_LINE: Final = re.compile(rf"^{LINE}(.+?)\.?$", re.MULTILINE)


def totals(registry: Mapping[str, pl.DataFrame]) -> dict[str, str]:
    """What the registry adds up to, each total with its unit, by name.

    Counts every deal that has not ended, in its last version, as the notes do. Unverified deals are in all totals of
    deals but the one that is named so; of power switched on there is one total without and one with unverified steps,
    the definitions of `conversion_daily`.
    """
    deals = registry["conversion_deal"].filter(pl.col("ended_on").is_null(), pl.col("superseded_at").is_null())
    support = registry["credit_support"].filter(pl.col("kind").is_in(BACKSTOP))
    found = {"deals": _of(deals)}
    for year in sorted(deals["announced_on"].dt.year().drop_nulls().unique()):
        found[f"of {year}"] = _of(deals.filter(pl.col("announced_on").dt.year() == year))
    found["without unverified"] = _of(deals.filter(VERIFIED))
    found["binding"] = f"{deals.filter(pl.col('kind').is_in(CUSTOMER_CONTRACT)).height}"
    deliveries = registry["deal_delivery"].join(deals.select("deal_id"), on="deal_id", how="semi")
    found["energised"] = _megawatts(deliveries.filter(VERIFIED))
    found["energised with unverified"] = _megawatts(deliveries)
    found["backstops"] = _billions(support["amount_usd"])
    found["spent by quarters"] = _billions(registry["capex_quarter"]["capex_usd"])
    found["guided, all rows"] = _billions(registry["capex_guidance"]["high_usd"])
    found["site rows"] = f"{registry['site'].height}"
    return found


def _of(deals: pl.DataFrame) -> str:
    return f"{deals.height} rows, {deals['critical_it_mw'].sum():g} MW, {_billions(deals['contract_value_usd'])}"


def _megawatts(rows: pl.DataFrame) -> str:
    return f"{rows['critical_it_mw'].sum():g} MW"


def _billions(amounts: pl.Series) -> str:
    return f"{float(amounts.cast(pl.Float64).sum()) / BILLION:.3f} bn USD"


def line(registry: Mapping[str, pl.DataFrame]) -> str:
    """The totals as the one line that the changelog holds."""
    return LINE + "; ".join(f"{name} {value}" for name, value in totals(registry).items()) + "."


def line_in_changelog(changelog: str) -> str | None:
    """The newest line of totals in the text of the changelog, newest first, or None."""
    found = _TOTALS_LINE.search(changelog)
    return f"{LINE}{found[1]}." if found else None


def check_totals(registry: Mapping[str, pl.DataFrame], changelog: str) -> None:
    """Raise `BadInputError` unless the newest totals in the `changelog` are those of the `registry`."""
    expected, found = line(registry), line_in_changelog(changelog)
    if found != expected:
        raise BadInputError(
            "warehouse/CHANGELOG.md, newest line of registry totals",
            _first_apart(found, expected),
            "the totals of the registry",
            f"undo the edit, or state under a new entry what changed and end it with the line: {expected}",
        )


def _first_apart(found: str | None, expected: str) -> str | None:
    """The first total that differs, instead of the whole line."""
    if found is None:
        return None
    pairs = zip(found.split("; "), expected.split("; "), strict=False)
    return next((was for was, now in pairs if was != now), found)
