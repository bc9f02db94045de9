"""The quarantine as a run sees it, and decisions of people about it, under the lock of the home."""

import logging
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import polars as pl

from flows.run.plan import Run
from flows.settings import Settings
from flows.sources.kinds import suppliers_of
from schemas.errors import ContractError, WarehouseError
from schemas.quarantine import Status
from warehouse.journal import one_run_at_a_time
from warehouse.quarantine import entries
from warehouse.quarantine_decisions import accept, reject
from warehouse.restore import finish_restore
from warehouse.working import Connection, open_working

logger = logging.getLogger(__name__)

Decision = Callable[..., pl.DataFrame]
DECISIONS: dict[Status, Decision] = {Status.ACCEPTED: accept, Status.REJECTED: reject}


def quarantined(run: Run, connection: Connection) -> pl.DataFrame:
    """What the sources of the run have in the quarantine."""
    suppliers = [supplier.name for name in run.profile.sources for supplier in suppliers_of(name)]
    return entries(connection, sources=suppliers)


def with_accepted(error: ContractError, run: Run, connection: Connection) -> ContractError:
    """The error of a table that breaks its schema, with what was accepted despite its rule, if anything was."""
    accepted = quarantined(run, connection).filter(status=Status.ACCEPTED)
    if accepted.is_empty():
        return error
    first = accepted["entry_id"][0]
    more = f" and {accepted.height - 1:,} more" if accepted.height > 1 else ""
    remedy = f"accepted from the quarantine: entry {first}{more}; `hashpivot quarantine reject {first}` takes it out"
    return ContractError(error.table, error.failures, f"{error.first}; {remedy}")


def listed(settings: Settings, status: Status | None, source: str | None) -> pl.DataFrame:
    """What is in the quarantine of a home: of one status and one source, or all.

    Raises `WarehouseError` for a home without observations, `WarehouseBusyError` while a run has them open.
    """
    with open_working(_existing(settings).working_database) as connection:
        return entries(connection, status=status, sources=None if source is None else [source])


def decide(settings: Settings, status: Status, entry_ids: Sequence[int], *, by: str, note: str) -> pl.DataFrame:
    """Accept or reject rows; all of them or, with an error, none. Return them as they are kept then.

    Raises `QuarantineError` for a row with which that cannot be done, `WarehouseBusyError` while a run holds the lock.
    """
    with one_run_at_a_time(_existing(settings).lock_file):
        finish_restore(settings.home)
        with open_working(settings.working_database) as connection:
            found = DECISIONS[status](connection, entry_ids, by=by, note=note, at=datetime.now(UTC))
    logger.info("quarantine %s entries=%s by=%s", status, ",".join(map(str, entry_ids)), by)
    return found


def _existing(settings: Settings) -> Settings:
    """The settings of a home that has observations."""
    if not settings.working_database.exists():
        raise WarehouseError(
            f"{settings.working_database}: found nothing, expected observations; run `hashpivot daily` first"
        )
    return settings
