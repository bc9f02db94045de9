"""What a user sees of a home and of the targets beside it."""

import json
from pathlib import Path
from typing import Any

from tests.invocation import invoke
from warehouse.targets.files import current_version

FIRST_DAY, NEXT_DAY = "2026-11-07", "2026-11-08"
"""Of the version that the home has, and of the next one."""


def published(home: Path) -> str | None:
    """The version that the home shows."""
    return current_version(home / "data" / "published")


def lines_of_doctor(home: Path, **environment: str) -> dict[str, Any]:
    """What `doctor` finds, by its subject."""
    done = invoke(home, "doctor", "--json", **environment)
    return {line["what"]: line for line in json.loads(done.stdout)}
