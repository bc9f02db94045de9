"""Which sources each published table was made from, as events of the kind that the scheduler has for assets.

The open-source server keeps these events for a week and shows them in its feed; it has no page for assets. The lineage
of every column stays in `meta.columns` of each publication.
"""

from pathlib import Path
from typing import Final

from prefect.events import emit_event

from warehouse.reading import query

SUCCEEDED: Final = "prefect.asset.materialization.succeeded"
TABLE_KEY: Final = "hashpivot://publication/{}"
SOURCE_KEY: Final = "hashpivot://source/{}"


def emit(published: Path) -> None:
    """Send one event for each table of the current publication that has rows, related to its sources and this run.

    Raises `WarehouseError` where there is no publication.
    """
    _, rows = query(
        published,
        "select table_name, description, sources, row_count, first_day, last_day, run_id "
        "from meta.tables, (select run_id from meta.runs where status = 'published' order by ended_at desc limit 1) "
        "where row_count > 0",
    )
    for name, description, sources, row_count, first_day, last_day, run_id in rows:
        days = {} if first_day is None else {"first_day": first_day.isoformat(), "last_day": last_day.isoformat()}
        emit_event(
            event=SUCCEEDED,
            resource={
                "prefect.resource.id": TABLE_KEY.format(name),
                "prefect.resource.name": name,
                "prefect.asset.description": description,
            },
            related=[
                {"prefect.resource.id": SOURCE_KEY.format(source), "prefect.resource.role": "asset"}
                for source in sources.split(",")
                if source
            ],
            payload={"run_id": run_id, "row_count": row_count, **days},
        )
