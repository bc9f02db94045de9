"""The description of a version as a Data Package, which tools find beside the files without opening one of them.

Source: https://specs.frictionlessdata.io/data-package/ and https://specs.frictionlessdata.io/table-schema/.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import polars as pl

from schemas.metric import Metric
from schemas.suppliers import Terms
from schemas.table import NEVER, Table
from warehouse.targets import meta_files, parquet
from warehouse.targets.json_files import as_json
from warehouse.targets.meta_files import MetaFile
from warehouse.targets.protocol import Publication
from warehouse.targets.stated import Stated

NAME: Final = "datapackage.json"
TITLE: Final = "Daily tables on the squeeze of Bitcoin miners and the conversion of their power sites to AI"
_PARQUET: Final = {"format": "parquet", "mediatype": "application/vnd.apache.parquet"}
_PLAIN_TYPES: Final[Mapping[type[pl.DataType], str]] = {
    pl.Boolean: "boolean",
    pl.String: "string",
    pl.Date: "date",
    pl.Datetime: "datetime",
    pl.List: "array",
}
LICENCE: Final = "strictest_licence"


def describe(publication: Publication, stated: Mapping[str, Stated], meta: Mapping[str, MetaFile]) -> dict[str, Any]:
    """The descriptor: one resource a table, and one a file of `meta`.

    The licence of a resource is the strictest of those whose data is in it, that of the package the strictest of all.
    """
    suppliers = _suppliers(publication)
    resources = [_resource(table, publication, stated[table.name], suppliers) for table in publication.facts] + list(
        _meta_resources(meta)
    )
    licences = [licence for resource in resources for licence in resource.get("licenses", ())]
    return {
        "name": "hashpivot",
        "title": TITLE,
        "version": publication.version,
        "created": publication.created_at.isoformat(),
        **{
            f"hashpivot_{key}": value
            for key, value in publication.about.items()
            if key in ("profile", "day", "simulated")
        },
        **({"licenses": [max(licences, key=_strictness)]} if licences else {}),
        "resources": resources,
    }


def write(folder: Path, descriptor: Mapping[str, Any]) -> None:
    """Write a descriptor as the file that tools look for."""
    (folder / NAME).write_bytes(as_json(descriptor))


def _resource(
    table: Table, publication: Publication, stated: Stated, suppliers: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    rows = publication.tables[table.name]
    paths = [file for file, _ in parquet.files_of(table.name, rows)]
    strictest = stated.of_table.get(LICENCE, "").partition(": ")[0]
    return {
        "name": table.name,
        "type": "table",
        "description": table.description,
        "path": paths[0] if len(paths) == 1 else paths,
        **_PARQUET,
        **({"licenses": [_licence(suppliers[strictest])]} if strictest in suppliers else {}),
        **_sources(stated.of_table.get("sources", ""), suppliers),
        "schema": {
            "fields": list(_fields(table, rows.schema, stated)),
            "primaryKey": list(table.key),
        },
    }


def _fields(table: Table, types: pl.Schema, stated: Stated) -> Iterator[dict[str, Any]]:
    metrics = {each.name: each for each in table.metrics}
    for name, facts in stated.of_columns.items():
        required = {"required": True} if facts["null_rule"] == NEVER else {}
        limits = _limits(metrics[name]) if name in metrics else {}
        constraints = {**required, **limits}
        yield {
            "name": name,
            "type": _type(types[name]),
            **facts,
            **({"constraints": constraints} if constraints else {}),
        }


def _limits(metric: Metric) -> dict[str, Any]:
    """Limits of the values; those of whole numbers as such."""
    of_type = int if metric.dtype.is_integer() else float
    ends = {"minimum": metric.ge, "maximum": metric.le}
    found: dict[str, Any] = {name: of_type(end) for name, end in ends.items() if end is not None}
    return {**found, **({"enum": list(metric.labels)} if metric.labels else {})}


def _type(dtype: pl.DataType) -> str:
    if dtype.is_integer():
        return "integer"
    if dtype.is_float() or dtype.is_decimal():
        return "number"
    return next((name for kind, name in _PLAIN_TYPES.items() if isinstance(dtype, kind)), "any")


def _suppliers(publication: Publication) -> dict[str, dict[str, Any]]:
    rows = publication.meta["sources"].iter_rows(named=True) if "sources" in publication.meta else ()
    return {row["source"]: row for row in rows}


def _licence(supplier: Mapping[str, Any]) -> dict[str, str]:
    terms = Terms.of(supplier["terms"])
    return {"name": terms.open_definition, "title": f"{supplier['source']}: {supplier['licence']}", **_path(supplier)}


def _strictness(licence: Mapping[str, str]) -> int:
    return max(terms.rank for terms in Terms if terms.open_definition == licence["name"])


def _path(supplier: Mapping[str, Any]) -> dict[str, str]:
    address = str(supplier["address"])
    return {"path": address} if address.startswith("https://") else {}


def _sources(names: str, suppliers: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    known = [suppliers[name] for name in names.split(",") if name in suppliers]
    return {"sources": [{"title": each["title"], **_path(each)} for each in known]} if known else {}


def _meta_resources(files: Mapping[str, MetaFile]) -> Iterator[dict[str, Any]]:
    for name, file in files.items():
        yield {
            "name": f"meta.{name}",
            "type": "table",
            "description": file.description,
            "path": f"{meta_files.FOLDER}/{name}.parquet",
            **_PARQUET,
            "schema": {"fields": [{"name": column, "type": _type(dtype)} for column, dtype in file.schema.items()]},
        }
