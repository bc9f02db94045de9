"""What the report is made from: tables of one publication, and what the one before it showed."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import polars as pl

from warehouse import publication_queries
from warehouse.publication_queries import Row
from warehouse.reading import open_publication
from warehouse.targets.files import manifest, published_columns
from warehouse.targets.protocol import Publication

TABLES: Final = (
    "capitulation_daily",
    "capitulation_episode",
    "conversion_daily",
    "security_daily",
    "pool_daily",
    "deal_current",
    "deal_delivery",
    "megawatts_by_company",
    "megawatts_by_tenant",
    "company",
    "claim",
    "outage_event",
    "flow_regime",
)
"""Published tables that the report shows something of."""
META: Final = ("columns", "tables", "sources", "freshness", "runs", "quality", "nulls", "revisions")
SCORES: Final = ("day", "capitulation_score", "capitulation_state", "is_final")
COMPARED: Final[Mapping[str, tuple[str, ...]]] = {
    "capitulation_daily": SCORES,
    "claim": ("claim", "verdict"),
    "deal_current": ("deal_id", "critical_it_mw", "contract_value_usd", "backstop_usd"),
}
"""By table the columns that are compared with the publication before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Before:
    """What another publication showed: its version, and the columns of `COMPARED` by table."""

    version: str
    tables: Mapping[str, pl.DataFrame]


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """Frames of one publication, those of `TABLES` and `META` by name, and what is known of the one before it.

    `about`: facts of the manifest. `before`: None where no publication of the same profile is there.
    """

    version: str
    created_at: datetime
    about: Mapping[str, Any]
    tables: Mapping[str, pl.DataFrame]
    meta: Mapping[str, pl.DataFrame]
    before: Before | None

    @property
    def run(self) -> Row:
        """The run that made the publication, a row of `meta.runs`; an empty one for a view of a past day."""
        runs = self.meta["runs"].filter(pl.col("publication") == self.version)
        return {} if runs.is_empty() else runs.row(-1, named=True)

    def newest_scored(self) -> Row:
        """The newest final row of `capitulation_daily` that has a score; the newest of all where there is none."""
        return newest_scored(self.tables["capitulation_daily"])


def newest_scored(days: pl.DataFrame) -> Row:
    """The same of any rows with the columns of `SCORES`, sorted by day."""
    scored = days.filter(pl.col("capitulation_score").is_not_null() & pl.col("is_final"))
    return (days if scored.is_empty() else scored).row(-1, named=True)


def of_publication(publication: Publication, before: Before | None) -> Given:
    """What a run is about to publish."""
    rows = {name: publication.tables[name] for name in TABLES}
    return Given(
        version=publication.version,
        created_at=publication.created_at,
        about=publication.about,
        tables={name: frame for name, frame in rows.items() if isinstance(frame, pl.DataFrame)},
        meta={name: publication.meta[name] for name in META},
        before=before,
    )


def of_folder(published: Path, before: Before | None) -> Given:
    """What readers see under `published`. Raises `WarehouseError` where there is no publication."""
    with open_publication(published) as publication:
        tables = {name: publication_queries.table_frame(publication, "main", name) for name in TABLES}
        meta = {name: publication_queries.table_frame(publication, "meta", name) for name in META}
    stated = manifest(published)
    return Given(
        version=stated["version"],
        created_at=datetime.fromisoformat(stated["created_at"]),
        about=stated,
        tables=tables,
        meta=meta,
        before=before,
    )


def shown_before(version: Path | None, profile: str) -> Before | None:
    """What the publication in the folder `version` showed; None where there is none of that profile."""
    if version is None:
        return None
    tables = {}
    for name, columns in COMPARED.items():
        rows = published_columns(version, profile, name, columns)
        if rows is None:
            return None
        tables[name] = rows
    return Before(version=str(manifest(version).get("version")), tables=tables)
