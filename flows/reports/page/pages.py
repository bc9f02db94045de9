"""The pages as bytes: a model of plain values from the tables, then one template for each page.

A page needs nothing beside it and may fetch nothing: style, script and data are in it, and a Content-Security-Policy
names the digests of what may run. Every value is escaped by the template; what scripts read is JSON in which no
character can end its element.
"""

import hashlib
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import date, timedelta
from functools import cache
from importlib.resources import files
from typing import Any, Final, TypeAlias

import msgspec
import polars as pl
from jinja2 import DictLoader, Environment, StrictUndefined
from markupsafe import Markup

from flows.reports.page import changes, computed, dictionary, explained, marks, quality, query, today
from flows.reports.page.charts import CHARTS, Chart
from flows.reports.page.facts import ColumnFacts, column_facts
from flows.reports.page.given import Given
from flows.reports.page.series import Axis, packed
from flows.reports.summary import words
from schemas.registry import VERIFIED
from schemas.text import visible
from transforms.capitulation import STATES
from transforms.derivation import Traced

REPORT: Final = "index.html"
REPORT_SCRIPTS: Final = ("uplot/uPlot.iife.min.js", "page.js")
TEMPLATES: Final = (
    "frame.html.jinja",
    "page.html.jinja",
    "dictionary.html.jinja",
    "table.html.jinja",
    "parts.html.jinja",
    query.TEMPLATE,
    explained.TEMPLATE,
)
DAILY: Final = ("capitulation_daily", "security_daily", "conversion_daily")
LEAD: Final = timedelta(days=60)
"""Days before the first contract with which the charts of the conversion begin."""
GROUPS: Final = {
    "miners": "Miners",
    "network": "Network and pools",
    "conversion": "Conversion of power to AI",
}
_SAFE: Final = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"})
_BY_PARTY: Final = (
    ("contracted_by_miner", "contracted", "miner", "Contracted power, by miner"),
    ("contracted_by_tenant", "contracted", "tenant", "Contracted power, by tenant"),
    ("energised_by_miner", "energised", "miner", "Power switched on, by miner"),
    ("energised_by_tenant", "energised", "tenant", "Power switched on, by tenant"),
)
_TABLE_OF: Final = {"miner": "megawatts_by_company", "tenant": "megawatts_by_tenant"}
_PARTY_NOTES: Final = {
    "contracted": "Critical power of verified contracts, as known on the day.",
    "energised": "Verified steps of delivery, as known on the day; part of them is divided over deals by us.",
}


Trace: TypeAlias = Callable[[Sequence[str], date], Traced]
"""From figures, each as TABLE.COLUMN, and their day to how they came about."""


def pages(given: Given, trace: Trace | None = None) -> dict[str, bytes]:
    """The report, the page for queries with its engine, and the pages of the dictionary, by the name of their file.

    With `trace` also the page to which figures of the report lead, which says how they came about.
    """
    frame, found = _frame(given), dictionary.table_pages(given)
    report = report_model(given)
    index = {"tables": dictionary.tables(given), "pages": found, "places": dictionary.places(given)}
    of_table = environment().get_template("table.html.jinja")
    return {
        REPORT: environment().get_template("page.html.jinja").render(report).encode(),
        query.PAGE: environment().get_template(query.TEMPLATE).render(frame | _query_model()).encode(),
        **query.engine(),
        **(_explained(given, frame, report, trace) if trace else {}),
        dictionary.INDEX: environment().get_template("dictionary.html.jinja").render(frame | index).encode(),
        **{dictionary.page_of(name): of_table.render(frame, page=page).encode() for name, page in found.items()},
    }


def _explained(given: Given, frame: dict[str, Any], report: Mapping[str, Any], trace: Trace) -> dict[str, bytes]:
    day = report["today"]["day"]
    traced = trace([key for key in report["facts"] if _leads_to_origin(key)], day)
    template = environment().get_template(explained.TEMPLATE)
    return {explained.PAGE: template.render(frame | explained.model(given, traced, day)).encode()}


def _leads_to_origin(key: str) -> bool:
    """Whether a figure that the report shows is one of a table with a row a day."""
    return key.partition(".")[0] in DAILY


def single_page(given: Given) -> bytes:
    """The report as one file for any place: without links to what a publication has beside it."""
    return environment().get_template("page.html.jinja").render(report_model(given) | {"has_links": False}).encode()


def report_model(given: Given) -> dict[str, Any]:
    """Everything that the template of the report shows."""
    axis = Axis.of(*(given.tables[name] for name in DAILY))
    party_charts, party_columns = _by_party(given, axis)
    charts = [chart for chart in _in_order(party_charts) if chart.lines]
    figures = {
        "miners": today.miners(given),
        "network": today.network(given),
        "conversion": today.conversion(given),
    }
    newest = today.today(given)
    shown = [line.key for chart in charts for line in chart.lines]
    listed = [row["key"] for rows in figures.values() for row in rows]
    facts = _facts(given, [*shown, *listed, *(part["key"] for part in newest["parts"])], party_charts)
    return {
        **_frame(given),
        "today": newest,
        "figures": figures,
        "changes": changes.changes(given),
        "before": given.before,
        "claims": given.tables["claim"].to_dicts(),
        "episodes": given.tables["capitulation_episode"].sort("started_on", descending=True).to_dicts(),
        "groups": GROUPS,
        "charts": charts,
        "facts": facts,
        "deals": _deals(given),
        "pools": _pools(given),
        "checks": quality.checks(given),
        "sources": quality.sources(given),
        "unknown": quality.unknown(given),
        "tables": quality.tables(given),
        "data": _as_json(_chart_data(given, axis, charts, party_columns, facts)),
    }


def _frame(given: Given) -> dict[str, Any]:
    """What both pages have in their head and foot."""
    return {
        "version": given.version,
        "created_at": given.created_at,
        "profile": given.about.get("profile", ""),
        "software": given.about.get("hashpivot_version", ""),
        "day": given.about.get("day", ""),
        "is_simulated": bool(given.about.get("simulated")),
        "has_links": True,
        "style": _style(),
        "script": _script(REPORT_SCRIPTS),
        "policy": _policy(_script(REPORT_SCRIPTS), "img-src data: blob:"),
    }


def _query_model() -> dict[str, Any]:
    script = _script(query.SCRIPTS)
    return query.model() | {"script": script, "policy": _policy(script, query.MAY_FETCH, query.MAY_RUN)}


def _in_order(party_charts: Sequence[Chart]) -> Iterator[Chart]:
    """The declared charts, and after that of all megawatts those by company."""
    for chart in CHARTS:
        yield chart
        if chart.name == "megawatts":
            yield from party_charts


def _by_party(given: Given, axis: Axis) -> tuple[list[Chart], dict[str, dict[str, Any]]]:
    names = dict(given.tables["company"].select("company", "name").iter_rows())
    charts: list[Chart] = []
    columns: dict[str, dict[str, Any]] = {}
    for name, what, party, title in _BY_PARTY:
        days = given.tables[_TABLE_OF[party]]
        parties = computed.by_party(days, party, f"{what}_critical_it_mw", names, axis)
        chart, packed_columns = computed.party_chart(name, title, _PARTY_NOTES[what], parties)
        charts.append(chart)
        columns |= packed_columns
    return charts, columns


def _facts(given: Given, keys: Sequence[str], party_charts: Sequence[Chart]) -> dict[str, ColumnFacts]:
    """Facts of every column that is drawn or listed, of those that the report computes as well."""
    coverage = "capitulation_daily.cost_coverage_ratio"
    published = [key for key in keys if not key.startswith("report.")]
    known = column_facts(given.meta["columns"], [*published, coverage])
    own = computed.break_even_facts(known[coverage])
    for chart in party_charts:
        what = "energised" if chart.name.startswith("energised") else "contracted"
        whole = f"conversion_daily.{what}_critical_it_mw"
        for line in chart.lines:
            own[line.key] = ColumnFacts(
                key=line.key,
                unit="MW",
                description=f"Part of {whole.partition('.')[2]}: {line.label}.",
                error=known[whole].error,
                null_rule="",
                sources=known[whole].sources,
            )
    return known | own


def _chart_data(
    given: Given,
    axis: Axis,
    charts: Sequence[Chart],
    party_columns: Mapping[str, dict[str, Any]],
    facts: Mapping[str, ColumnFacts],
) -> dict[str, Any]:
    """What the script draws from."""
    days = given.tables["capitulation_daily"]
    columns = dict(party_columns)
    own = computed.break_even(days)
    for key in dict.fromkeys(line.key for chart in charts for line in chart.lines):
        if key in columns:
            continue
        table, _, name = key.partition(".")
        rows = days if key in own else given.tables[table]
        columns[key] = packed(own[key] if key in own else rows[name], axis.index(rows["day"][0]))
    first_contract = computed.first_contract(given.tables["conversion_daily"])
    return {
        "axis": {"first": axis.first, "count": axis.count},
        "begins": {
            "miners": 0,
            "network": 0,
            "conversion": max(0, axis.index((first_contract or axis.first) - LEAD)),
        },
        "columns": columns,
        "charts": [_drawn(chart, facts) for chart in charts],
        "states": marks.states(days, axis),
        "stateWords": {state: words(state) for state in STATES},
        "tones": {state: today.tone(state) for state in STATES},
        "newest": axis.index(given.newest_scored()["day"]),
        "halvings": marks.halvings(days, axis),
        "outages": marks.outages(given.tables["outage_event"], axis),
        "regimes": marks.regimes(days, given.tables["flow_regime"], axis),
        "version": given.version,
    }


def _drawn(chart: Chart, facts: Mapping[str, ColumnFacts]) -> dict[str, Any]:
    stated = asdict(chart) | {"guides": list((chart.guides or {}).items())}
    del stated["note"], stated["is_wide"]
    stated["lines"] = [asdict(line) | {"column": facts[line.key].name} for line in chart.lines]
    for line, one in zip(stated["lines"], chart.lines, strict=True):
        if one.key.startswith("report."):
            line["column"] = one.label
    return stated


def _deals(given: Given) -> list[dict[str, Any]]:
    """The deals that stand, the newest first, each with the verified power that is switched on."""
    spans = given.tables["deal_delivery"].filter(VERIFIED)
    switched_on = dict(spans.group_by("deal_id").agg(pl.col("critical_it_mw").sum()).iter_rows())
    rows = given.tables["deal_current"].sort(["announced_on", "deal_id"], descending=[True, False])
    return [row | {"energised_mw": switched_on.get(row["deal_id"])} for row in rows.iter_rows(named=True)]


def _pools(given: Given) -> list[dict[str, Any]]:
    """Pools of the newest day that has any, the largest first."""
    known = given.tables["pool_daily"].drop_nulls("pool_share_4320_pct")
    if known.is_empty():
        return []
    newest = known.filter(pl.col("day") == pl.col("day").max())
    return newest.sort(["pool_share_4320_pct", "pool"], descending=[True, False]).head(12).to_dicts()


def _as_json(data: Mapping[str, Any]) -> Markup:
    """JSON that is safe inside a script element whatever names are in it."""
    return Markup(msgspec.json.encode(data).decode().translate(_SAFE))


def _linked(url: str | None) -> bool:
    """Whether an address of the registry may be a link."""
    return (url or "").startswith(("https://", "http://"))


def _number(value: float | None, shape: str = "{:,.0f}") -> str:
    return "" if value is None else shape.format(value)


def _day(value: date | None) -> str:
    return "" if value is None else f"{value:%Y-%m-%d}"


def _shown(value: Any) -> Any:
    """Text of others in one line, without characters that are not seen."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _coded(text: str) -> Markup:
    """Text of ours with names of columns between backticks as code; everything else is escaped."""
    parts = visible(text).split("`")
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if number % 2 else part for number, part in enumerate(parts)
    )


@cache
def environment() -> Environment:
    """The templates with what they may call; a template is compiled at its first use."""
    made = Environment(
        loader=DictLoader({name: _asset(name) for name in TEMPLATES}),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"number": _number, "day": _day, "words": words, "coded": _coded, "place": dictionary.place_of}
    made.tests |= {"linked": _linked, "explained": _leads_to_origin}
    return made


@cache
def _style() -> Markup:
    return Markup(_asset("uplot/uPlot.min.css") + "\n" + _asset("page.css"))


@cache
def _script(names: tuple[str, ...]) -> Markup:
    return Markup("\n".join(_asset(name) for name in names))


@cache
def _policy(script: Markup, allowed: str, may_run: str = "") -> str:
    """What `allowed` states may be fetched, nothing else; only the script and the style of the page itself count."""
    return (
        f"default-src 'none'; script-src {_digest(script)}{may_run}; style-src {_digest(_style())}; {allowed}; "
        "base-uri 'none'; form-action 'none'"
    )


def _digest(content: str) -> str:
    return f"'sha256-{b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"


@cache
def _asset(name: str) -> str:
    return files("flows.reports.page").joinpath("assets", *name.split("/")).read_text(encoding="utf-8")
