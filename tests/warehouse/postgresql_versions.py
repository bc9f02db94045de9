"""Small versions for a PostgreSQL target, and whether the server shows one whole."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from schemas.partition import by_year
from tests.postgres_server import PostgresServer
from tests.warehouse.transfer_rows import transfers, with_transfers
from warehouse.publish import publish
from warehouse.targets.files import FileTarget
from warehouse.targets.finished import FinishedVersion, finished_version

YEARS = {2022: 40, 2023: 50, 2024: 60}


def version(folder: Path, number: int, *, years: dict[int, int] = YEARS, **about: Any) -> FinishedVersion:
    """A small version that the file target has published: every table has its number in it."""
    given = with_transfers(f"v{number}", by_year(transfers(years, amount=100 + number)))
    given = replace(given, about={**given.about, "day": "2024-06-01", "family": "simulated"} | about)
    publish(given, [FileTarget(folder=folder, keep=9)])
    return finished_version(folder)


def whole_version(server: PostgresServer, schema: str) -> str:
    """The version that readers see, once every table is of it."""
    publication = server.query(f"select version from {schema}_meta.publication")
    prices = server.query(f"select version, count(*) from {schema}.price_daily group by 1")
    deals = server.query(f"select version, count(*) from {schema}.deal group by 1")
    amounts = server.query(f"select max(transfer_sat), count(*) from {schema}.transfer")
    [(found,)] = publication
    assert prices == [(found, 5)]
    assert deals == [(found, 12)]
    assert amounts == [(100 + int(found.removeprefix("v")), sum(YEARS.values()))]
    assert server.query("select nspname from pg_namespace where nspname like $1", f"{schema}%_draft") == []
    return str(found)
