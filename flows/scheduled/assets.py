"""Which sources each published table was made from, as events of the kind that the scheduler has for assets.

The open-source server keeps these events for a week and shows them in its feed; it has no page for assets. The lineage
of every column stays in `meta.columns` of each publication.
"""

from pathlib import Path
from typing import Final

from prefect.events import emit_event

from warehouse.publication_queries import newest_run, tables_with_rows
from warehouse.reading import open_publication

SUCCEEDED: Final = "prefect.asset.materialization.succeeded"
TABLE_KEY: Final = "hashpivot://publication/{}"
SOURCE_KEY: Final = "hashpivot://source/{}"


def emit(published: Path) -> None:
    """Send one event for each table of the current publication that has rows, related to its sources and this run.

    Raises `WarehouseError` where there is no publication.
    """
    with open_publication(published) as publication:
        run_id = newest_run(publication)["run_id"]
        tables = tables_with_rows(publication)
    for table in tables:
        days = {name: table[name].isoformat() for name in ("first_day", "last_day") if table[name] is not None}
        emit_event(
            event=SUCCEEDED,
            resource={
                "prefect.resource.id": TABLE_KEY.format(table["table_name"]),
                "prefect.resource.name": table["table_name"],
                "prefect.asset.description": table["description"],
            },
            related=[
                {"prefect.resource.id": SOURCE_KEY.format(source), "prefect.resource.role": "asset"}
                for source in table["sources"].split(",")
                if source
            ],
            payload={"run_id": run_id, "row_count": table["row_count"], **days},
        )
