"""Whether the working database is the one that the current publication was made from."""

from pathlib import Path
from typing import Final

from schemas.check import Check
from warehouse import journal
from warehouse.targets.files import current_publication
from warehouse.working import Connection

NAME: Final = "working database reaches back to the current publication"
REMEDY: Final = "restore a backup into an empty home to have them again"


def history_check(published: Path, connection: Connection) -> Check:
    """A warning where the working database has no record of the run that readers see under `published`.

    A run goes on then: what it publishes is right, and fetched again where sources still state it.
    """
    current = current_publication(published)
    is_known = current is None or journal.is_known(connection, current[0])
    return Check(
        check_name=NAME,
        severity="warning",
        passed=is_known,
        value=None,
        expected="a record of the run that made it",
        detail="" if current is None else f"knows {current[0]}" if is_known else f"{lost(current[0])}; {REMEDY}",
    )


def lost(publication: str) -> str:
    """What is gone with a working database that knew `publication`, as part of a message."""
    return (
        f"no record of {publication}, so the database was deleted or replaced: observations and revisions received "
        "before are lost, everything is fetched again, and `daily --as-of` does not reach back"
    )
