"""What a run leaves in the scheduler for people to look at: figures, a brief, a picture, links. Small, never secret."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Final, cast
from uuid import UUID

from prefect.artifacts import (
    create_image_artifact,
    create_link_artifact,
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)

from flows.reports import brief
from flows.reports.page.file import small_picture
from flows.scheduled import assets
from warehouse.targets.files import REPORT_NAME

logger = logging.getLogger(__name__)

FIGURES_KEY: Final = "hashpivot-figures"
BRIEF_KEY: Final = "hashpivot-brief"
CHART_KEY: Final = "hashpivot-chart"
PUBLICATION_KEY: Final = "hashpivot-publication"
REBUILT_KEY: Final = "hashpivot-rebuilt"
PROGRESS_KEY: Final = "hashpivot-progress"


def leave(published: Path, published_url: str | None, delivery: brief.Delivery | None) -> None:
    """Describe the current publication under `published` in artifacts of this run, and its alerts where it sent them.

    `published_url`: where people reach that folder; without it the link leads to the file on the machine of the run.
    The publication is out by now, so that a scheduler which cannot take them costs the run a warning and no more.
    """
    try:
        content = brief.read(published)
        day = content.newest["day"]
        create_table_artifact(brief.figures(content), key=FIGURES_KEY, description=f"Figures of {day}")
        create_markdown_artifact(brief.markdown(content, delivery), key=BRIEF_KEY, description=f"Brief of {day}")
        create_image_artifact(
            small_picture(published),
            key=CHART_KEY,
            description=f"Capitulation score up to {day}, profile {content.profile}",
        )
        served = f"{published_url.rstrip('/')}/{REPORT_NAME}/" if published_url else None
        create_link_artifact(
            served or (published / "hashpivot.duckdb").resolve().as_uri(),
            link_text=f"report of {day}" if served else f"publication {content.version}",
            key=PUBLICATION_KEY,
            description=f'Days to {content.last_day}. On that machine: hashpivot sql "from capitulation_daily limit 5"',
        )
        assets.emit(published)
    except Exception as error:
        logger.warning("no artifacts for this run: %s: %s", type(error).__name__, error)


def leave_beside(database: Path, link_text: str, description: str) -> None:
    """Link to a publication beside the current one, whose figures stay what people find first."""
    try:
        create_link_artifact(
            database.resolve().as_uri(),
            link_text=link_text,
            key=REBUILT_KEY,
            description=description,
        )
    except Exception as error:
        logger.warning("no artifact for this run: %s: %s", type(error).__name__, error)


def progress_bar() -> Callable[[int, int, str], None]:
    """A bar; the function that is returned moves it to so many parts of so many, and states what comes next."""
    artifact: UUID | None = None

    def move(done: int, total: int, what: str) -> None:
        nonlocal artifact
        share = 100.0 * done / total
        description = f"{done} of {total} parts: {what}"
        try:
            if artifact is None:
                artifact = cast(UUID, create_progress_artifact(share, key=PROGRESS_KEY, description=description))
            else:
                update_progress_artifact(artifact, share, description=description)
        except Exception as error:
            logger.warning("no progress of this run is shown: %s: %s", type(error).__name__, error)

    return move
