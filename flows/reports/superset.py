"""A dashboard for Apache Superset: the database, its tables with words and units, charts and filters, as one file.

Superset imports it whole (`superset import-directory --overwrite`, or Dashboards, Import). Identifiers are made from
names, so that importing a newer one changes what is there instead of adding to it. The layout is that of exports of
Superset 6.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final
from uuid import NAMESPACE_URL, uuid5
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import yaml

from flows.reports.export import shown_publication
from warehouse import publication_queries
from warehouse.atomic_files import whole_file
from warehouse.publication_queries import Row
from warehouse.reading import open_publication
from warehouse.targets.files import DATABASE_NAME, manifest

_DIGITS: Final = MappingProxyType({"USD": ",.0f", "MW": ",.0f"})
"""How tables show figures, by their unit; of others four digits."""
TITLE: Final = "Bitcoin miners: squeeze and conversion to AI"
SLUG: Final = "hashpivot"
FOLDER: Final = "hashpivot"
NOTICE: Final = (
    "Made from the tables of hashpivot; descriptions of charts, and of columns under *Datasets*, say what a figure "
    "is and how far it may be off. Tables that are made from a vendor's data inherit the vendor's terms. "
    "Nothing here is advice on investments."
)
SIMULATED: Final = (
    "**Simulated data.** The chain, its prices and flows are invented; only the registry of AI leases is real. "
    f"{NOTICE}"
)
_NAMESPACE: Final = uuid5(NAMESPACE_URL, "hashpivot/superset")
_VERSION: Final = "1.0.0"
_TYPES: Final = MappingProxyType(
    {
        "Date": "DATE",
        "String": "VARCHAR",
        "Boolean": "BOOLEAN",
        "Int64": "BIGINT",
        "Int32": "INTEGER",
        "Float64": "DOUBLE",
    }
)
"""Of DuckDB, by those of Polars that `meta.columns` states; others are text to Superset."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One chart: what Superset calls its kind, the table it reads, and its own settings.

    `columns` are those that it draws; each must be published. `width` is in twelfths of the dashboard. `time` is the
    column that the filter on the range of time restricts, None where the chart shows one day.
    """

    name: str
    title: str
    kind: str
    table: str
    columns: tuple[str, ...]
    width: int = 6
    time: str | None = "day"
    by: str | None = None
    aggregate: str = "AVG"
    settings: Mapping[str, Any] = field(default_factory=dict)


_LINE: Final = "echarts_timeseries_line"
_LOG: Final = MappingProxyType({"logAxis": True})
_DAILY: Final = "capitulation_daily"
PANELS: Final = (
    (
        Panel(
            name="score_now",
            title="Capitulation score, 0 to 100",
            kind="big_number_total",
            table="latest",
            columns=("capitulation_score",),
            width=3,
            time=None,
            aggregate="MAX",
            settings={"y_axis_format": ".1f"},
        ),
        Panel(
            name="today",
            title="The newest day",
            kind="table",
            table="latest",
            columns=(
                *("day", "capitulation_state", "price_usd", "puell_issuance_ratio", "hashprice_usd_per_phs_day"),
                *("cost_coverage_ratio", "contracted_critical_it_mw", "energised_critical_it_mw"),
            ),
            width=9,
            time=None,
        ),
    ),
    (
        Panel(
            name="score",
            title="Capitulation score",
            kind=_LINE,
            table=_DAILY,
            columns=("capitulation_score",),
            settings={"y_axis_bounds": [0, 100], "truncateYAxis": True},
        ),
        Panel(name="price", title="Price, log scale", kind=_LINE, table=_DAILY, columns=("price_usd",), settings=_LOG),
    ),
    (
        Panel(
            name="revenue",
            title="Miner revenue by week",
            kind="echarts_timeseries_bar",
            table="capitulation_weekly",
            columns=("miner_revenue_usd",),
            time="week_start",
            aggregate="SUM",
        ),
        Panel(
            name="puell",
            title="Puell Multiple",
            kind=_LINE,
            table=_DAILY,
            columns=("puell_issuance_ratio", "puell_revenue_ratio"),
        ),
    ),
    (
        Panel(
            name="ribbons",
            title="Hash ribbons",
            kind=_LINE,
            table=_DAILY,
            columns=("hashrate_30d_ehs", "hashrate_60d_ehs"),
            settings=_LOG,
        ),
        Panel(
            name="flows",
            title="From miners to exchanges",
            kind=_LINE,
            table=_DAILY,
            columns=("miner_to_exchange_30d_btc",),
        ),
    ),
    (
        Panel(
            name="contracted",
            title="Contracted power by miner",
            kind="echarts_area",
            table="megawatts_by_company",
            columns=("contracted_critical_it_mw",),
            by="miner_name",
            aggregate="SUM",
        ),
        Panel(
            name="energised",
            title="Power switched on by tenant",
            kind="echarts_area",
            table="megawatts_by_tenant",
            columns=("energised_critical_it_mw",),
            by="tenant_name",
            aggregate="SUM",
        ),
    ),
    (
        Panel(
            name="lease_against_mining",
            title="Lease against mining, by megawatt and year",
            kind=_LINE,
            table="conversion_daily",
            columns=("lease_usd_per_mw_year", "mining_usd_per_mw_year"),
            width=5,
        ),
        Panel(
            name="deals",
            title="Deals that stand, the newest first",
            kind="table",
            table="deal_current",
            columns=(
                *("announced_on", "miner_name", "tenant_name", "site_name", "critical_it_mw", "term_years"),
                *("contract_value_usd", "is_verified", "source_url"),
            ),
            width=7,
            time="announced_on",
        ),
    ),
)
"""Rows of charts, from above."""
FILTERS: Final = (
    ("state", "State of the miners", _DAILY, "capitulation_state"),
    ("miner", "Miner", "megawatts_by_company", "miner_name"),
    ("tenant", "Tenant", "megawatts_by_tenant", "tenant_name"),
)
"""Beside the range of time: name, title, table and column of each."""


def write_dashboard(published: Path, path: Path) -> int:
    """Write the dashboard for the publication under `published` to the zip file `path`; return how many charts it has.

    Superset must find the database under the same path. Raises `WarehouseError` without a publication.
    """
    _, made_at = shown_publication(published)
    with open_publication(published) as publication:
        columns = {table: publication_queries.column_facts(publication, table) for table in _tables()}
        described = {row["table_name"]: row["description"] for row in publication_queries.tables_with_rows(publication)}
    files = {
        "metadata.yaml": {"version": _VERSION, "type": "Dashboard", "timestamp": made_at.isoformat()},
        f"databases/{FOLDER}.yaml": _database(published.absolute() / DATABASE_NAME),
        **{f"datasets/{FOLDER}/{name}.yaml": _dataset(name, columns[name], described.get(name)) for name in columns},
        **{f"charts/{panel.name}.yaml": _chart(panel, columns[panel.table]) for panel in _panels()},
        f"dashboards/{SLUG}.yaml": _dashboard(SIMULATED if manifest(published).get("simulated") else NOTICE),
    }
    with whole_file(path) as draft, ZipFile(draft, "w", ZIP_DEFLATED) as archive:
        for name, content in files.items():
            entry = ZipInfo(f"{FOLDER}/{name}", made_at.timetuple()[:6])
            archive.writestr(entry, yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120))
    return len(_panels())


def _panels() -> list[Panel]:
    return [panel for row in PANELS for panel in row]


def _tables() -> list[str]:
    return list(dict.fromkeys(panel.table for panel in _panels()))


def _id(kind: str, name: str) -> str:
    return str(uuid5(_NAMESPACE, f"{kind}/{name}"))


def _database(path: Path) -> dict[str, Any]:
    return {
        "database_name": "hashpivot",
        "sqlalchemy_uri": f"duckdb:///{path}?access_mode=read_only",
        "expose_in_sqllab": True,
        "allow_run_async": False,
        "allow_ctas": False,
        "allow_cvas": False,
        "allow_dml": False,
        "allow_csv_upload": False,
        "extra": {"allows_virtual_table_explore": True},
        "uuid": _id("database", "hashpivot"),
        "version": _VERSION,
    }


def _dataset(table: str, columns: Sequence[Row], description: str | None) -> dict[str, Any]:
    days = [row["column_name"] for row in columns if row["data_type"] == "Date"]
    return {
        "table_name": table,
        "main_dttm_col": days[0] if days else None,
        "description": description,
        "schema": "main",
        "filter_select_enabled": True,
        "uuid": _id("dataset", table),
        "metrics": [{"metric_name": "count", "verbose_name": "Rows", "metric_type": "count", "expression": "COUNT(*)"}],
        "columns": [_column(row) for row in columns],
        "version": _VERSION,
        "database_uuid": _id("database", "hashpivot"),
    }


def _column(row: Row) -> dict[str, Any]:
    is_day = row["data_type"] == "Date"
    return {
        "column_name": row["column_name"],
        "verbose_name": _words(row),
        "is_dttm": is_day,
        "is_active": True,
        "type": _TYPES.get(row["data_type"], "VARCHAR"),
        "groupby": True,
        "filterable": True,
        "description": " ".join(filter(None, (row["description"], row["error"]))),
        **({"python_date_format": "%Y-%m-%d"} if is_day else {}),
    }


def _words(row: Row) -> str:
    """The name of a column in words."""
    return str(row["verbose_name"] or row["column_name"])


def _chart(panel: Panel, columns: Sequence[Row]) -> dict[str, Any]:
    facts = {row["column_name"]: row for row in columns}
    return {
        "slice_name": panel.title,
        "description": "\n".join(f"{_words(facts[name])}: {facts[name]['description']}" for name in panel.columns),
        "viz_type": panel.kind,
        "params": {"viz_type": panel.kind, **_form(panel, facts), **panel.settings},
        "uuid": _id("chart", panel.name),
        "version": _VERSION,
        "dataset_uuid": _id("dataset", panel.table),
    }


def _form(panel: Panel, facts: Mapping[str, Row]) -> dict[str, Any]:
    """What the editor of Superset has as the settings of such a chart."""
    metrics = [_metric(facts[name], panel.aggregate) for name in panel.columns]
    if panel.kind == "table":
        return {
            "query_mode": "raw",
            "all_columns": list(panel.columns),
            "order_by_cols": [f'["{panel.time}", false]'] if panel.time else [],
            "row_limit": 1000,
            "table_timestamp_format": "%Y-%m-%d",
            "show_cell_bars": False,
            "column_config": {
                name: {"d3NumberFormat": _DIGITS.get(facts[name]["unit"], ",.4~r")}
                for name in panel.columns
                if facts[name]["data_type"] == "Float64"
            },
            "adhoc_filters": _ranges(panel),
        }
    if panel.kind == "big_number_total":
        return {"metric": metrics[0], "adhoc_filters": _ranges(panel)}
    return {
        "x_axis": panel.time,
        "time_grain_sqla": "P1D",
        "metrics": metrics,
        "groupby": [panel.by] if panel.by else [],
        "adhoc_filters": _ranges(panel),
        "row_limit": 50_000,
        "truncate_metric": True,
        "show_legend": True,
        "legendOrientation": "top",
        "rich_tooltip": True,
        "y_axis_format": "SMART_NUMBER",
        "x_axis_time_format": "smart_date",
        **({"stack": "Stack"} if panel.kind == "echarts_area" else {}),
    }


def _metric(row: Row, aggregate: str) -> dict[str, Any]:
    return {
        "expressionType": "SIMPLE",
        "column": {"column_name": row["column_name"], "type": _TYPES.get(row["data_type"], "VARCHAR")},
        "aggregate": aggregate,
        "label": _words(row),
        "hasCustomLabel": True,
        "optionName": f"metric_{row['column_name']}",
    }


def _ranges(panel: Panel) -> list[dict[str, Any]]:
    """The place where the filter on the range of time goes."""
    if panel.time is None:
        return []
    return [
        {
            "expressionType": "SIMPLE",
            "subject": panel.time,
            "operator": "TEMPORAL_RANGE",
            "comparator": "No filter",
            "clause": "WHERE",
        }
    ]


def _dashboard(notice: str) -> dict[str, Any]:
    return {
        "dashboard_title": TITLE,
        "description": "Made from a publication of hashpivot; nothing here is advice on investments.",
        "css": "",
        "slug": SLUG,
        "uuid": _id("dashboard", SLUG),
        "position": _position(notice),
        "published": True,
        "metadata": {"native_filter_configuration": _filters(), "color_scheme": "supersetColors"},
        "version": _VERSION,
    }


def _position(notice: str) -> dict[str, Any]:
    rows = {f"ROW-{number}": row for number, row in enumerate(PANELS)}
    # The import puts its own numbers in their place.
    numbers = {panel.name: number for number, panel in enumerate(_panels(), start=1)}
    parts: dict[str, Any] = {
        "DASHBOARD_VERSION_KEY": "v2",
        "ROOT_ID": {"type": "ROOT", "id": "ROOT_ID", "children": ["GRID_ID"]},
        "GRID_ID": {"type": "GRID", "id": "GRID_ID", "children": ["ROW-notice", *rows], "parents": ["ROOT_ID"]},
        "HEADER_ID": {"type": "HEADER", "id": "HEADER_ID", "meta": {"text": TITLE}},
    }
    parts["ROW-notice"] = _row("ROW-notice", ["MARKDOWN-notice"])
    parts["MARKDOWN-notice"] = {
        "type": "MARKDOWN",
        "id": "MARKDOWN-notice",
        "children": [],
        "parents": ["ROOT_ID", "GRID_ID", "ROW-notice"],
        "meta": {"width": 12, "height": 12, "code": notice},
    }
    for row, panels in rows.items():
        places = [f"CHART-{panel.name}" for panel in panels]
        parts[row] = _row(row, places)
        for place, panel in zip(places, panels, strict=True):
            parts[place] = {
                "type": "CHART",
                "id": place,
                "children": [],
                "parents": ["ROOT_ID", "GRID_ID", row],
                "meta": {
                    "uuid": _id("chart", panel.name),
                    "chartId": numbers[panel.name],
                    "width": panel.width,
                    "height": 50 if panel.time else 26,
                    "sliceName": panel.title,
                },
            }
    return parts


def _row(name: str, places: Sequence[str]) -> dict[str, Any]:
    return {
        "type": "ROW",
        "id": name,
        "children": list(places),
        "parents": ["ROOT_ID", "GRID_ID"],
        "meta": {"background": "BACKGROUND_TRANSPARENT"},
    }


def _filters() -> list[dict[str, Any]]:
    everywhere = {"rootPath": ["ROOT_ID"], "excluded": []}
    time = {
        "id": "NATIVE_FILTER-time",
        "name": "Range of time",
        "filterType": "filter_time",
        "targets": [{}],
        "controlValues": {},
        "defaultDataMask": {"filterState": {"value": None}, "extraFormData": {}},
        "cascadeParentIds": [],
        "scope": everywhere,
        "type": "NATIVE_FILTER",
    }
    return [
        time,
        *(
            {
                "id": f"NATIVE_FILTER-{name}",
                "name": title,
                "filterType": "filter_select",
                "targets": [{"datasetUuid": _id("dataset", table), "column": {"name": column}}],
                "controlValues": {"multiSelect": True, "enableEmptyFilter": False, "searchAllOptions": False},
                "defaultDataMask": {"filterState": {}, "extraFormData": {}},
                "cascadeParentIds": [],
                "scope": everywhere,
                "type": "NATIVE_FILTER",
            }
            for name, title, table, column in FILTERS
        ),
    ]
