"""The registry as something that people keep: check it, add a row, see what an edit does to what is published."""

import subprocess
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import polars as pl

from schemas.errors import SettingsError
from schemas.registry import REGISTRY
from transforms.inputs.conversion import conversion_days
from warehouse.registry import REFERENCE, check_past, load_registry
from warehouse.registry_edit import add_row, with_row
from warehouse.registry_totals import CHANGELOG, check_totals, totals

FOLDER: Final = Path(str(REFERENCE))
"""The files of the package: in a clone the ones that are edited."""
PUBLISHED_TOTALS: Final = (
    "deal_count",
    "deal_with_unverified_count",
    "contracted_critical_it_mw",
    "contracted_critical_it_with_unverified_mw",
    "contracted_gross_mw",
    "contracted_value_usd",
    "contracted_value_with_unverified_usd",
    "energised_critical_it_mw",
    "brownfield_critical_it_mw",
    "backstop_usd",
    "google_backstop_usd",
    "capex_guidance_low_usd",
    "capex_guidance_high_usd",
    "capex_trailing_12m_usd",
)
"""Columns of `conversion_daily` whose differences are shown, on the last day either registry knows of."""

Row = tuple[str, str, str, str]


def check(folder: Path = FOLDER, changelog: str | None = None) -> dict[str, str]:
    """Check every row, every link between tables and the totals; return the totals.

    Raises `BadInputError` for the first thing that is wrong, a day after today that is no plan included.
    """
    registry = load_registry(folder)
    check_past(folder, _today())
    check_totals(registry, CHANGELOG.read_text(encoding="utf-8") if changelog is None else changelog)
    return totals(registry)


def differences(before: Mapping[str, pl.DataFrame], after: Mapping[str, pl.DataFrame]) -> list[Row]:
    """What changes from one registry to the other: (what, before, after, change), only what differs.

    First the rows of each table, then the totals, then the published columns on the last day that either knows.
    """
    rows: list[Row] = []
    for table in REGISTRY:
        was, now = before[table], after[table]
        gone = was.join(now, on=was.columns, how="anti", nulls_equal=True).height
        come = now.join(was, on=was.columns, how="anti", nulls_equal=True).height
        if gone or come:
            rows.append((f"rows of {table}", f"{was.height}", f"{now.height}", f"{come} new, {gone} gone"))
    was_total, now_total = totals(before), totals(after)
    for name in dict.fromkeys([*was_total, *now_total]):
        old, new = was_total.get(name, "none"), now_total.get(name, "none")
        if old != new:
            rows.append((f"total: {name}", old, new, ""))
    day = max(_last_known(before), _last_known(after))
    old_day, new_day = _day(before, day), _day(after, day)
    for name in PUBLISHED_TOTALS:
        first, second = old_day[name], new_day[name]
        if first != second:
            change = f"{second - first:+,.10g}" if first is not None and second is not None else ""
            rows.append((f"conversion_daily.{name} on {day}", _text(first), _text(second), change))
    return rows


def at_revision(revision: str) -> dict[str, pl.DataFrame]:
    """The registry as it was at a revision of the clone. Raises `SettingsError` where git does not know it."""
    with TemporaryDirectory() as scratch:
        for table in REGISTRY:
            shown = subprocess.run(
                ["git", "show", f"{revision}:./{table}.csv"], cwd=FOLDER, capture_output=True, check=False
            )
            if shown.returncode:
                output = shown.stderr.decode(errors="replace").strip().splitlines()
                raise SettingsError(
                    "--against",
                    revision,
                    "a folder of registry files, or a revision that has all of them",
                    f"git: {output[-1] if output else 'no message'}",
                )
            (Path(scratch) / f"{table}.csv").write_bytes(shown.stdout)
        return load_registry(Path(scratch))


def other(against: str) -> dict[str, pl.DataFrame]:
    """The registry to compare with: that of a folder if `against` is one, else that of a revision."""
    return load_registry(Path(against)) if Path(against).is_dir() else at_revision(against)


def preview(table: str, cells: Mapping[str, str], folder: Path = FOLDER) -> list[Row]:
    """What adding a row would change; raises where the registry would not be sound with it."""
    return differences(load_registry(folder), with_row(folder, table, cells, _today()))


def add(table: str, cells: Mapping[str, str], folder: Path = FOLDER) -> None:
    """Add the row. Raises, and writes nothing, where the registry would not be sound with it."""
    add_row(folder, table, cells, _today())


def _today() -> date:
    return datetime.now(UTC).date()


def _last_known(registry: Mapping[str, pl.DataFrame]) -> date:
    days = [registry[table]["known_at"].max() for table in ("conversion_deal", "deal_delivery", "capex_guidance")]
    return max((day for day in days if isinstance(day, date)), default=date(2009, 1, 3))


def _day(registry: Mapping[str, pl.DataFrame], day: date) -> dict[str, Any]:
    return conversion_days(registry, day, day).row(0, named=True)


def _text(value: float | None) -> str:
    return "none" if value is None else f"{value:,.10g}"
