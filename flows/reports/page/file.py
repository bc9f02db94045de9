"""The report as a file: where the publication has it, or written anew where somebody wants it."""

from pathlib import Path

from flows.reports.page.given import of_folder, shown_before
from flows.reports.page.pages import REPORT, single_page
from schemas.errors import WarehouseError
from warehouse.targets.files import REPORT_NAME, current_version, manifest, version_before


def published_report(published: Path) -> Path:
    """The report that the current publication under `published` has. Raises `WarehouseError` where it has none."""
    path = published / REPORT_NAME / REPORT
    if not path.exists():
        version = current_version(published)
        found = "no publication" if version is None else f"none in publication {version}"
        raise WarehouseError(
            f"{path}: found {found}, expected a report; run `hashpivot daily`, or name a file with -o to write one"
        )
    return path


def write_report(published: Path, output: Path) -> None:
    """Write the report of the current publication under `published`, as this release makes it, to `output`.

    Raises `WarehouseError` where there is no publication, or where the file cannot be written.
    """
    before = shown_before(version_before(published), str(manifest(published).get("profile")))
    content = single_page(of_folder(published, before))
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_bytes(content)
    except OSError as error:
        raise WarehouseError(
            f"{output}: found {error.strerror!r}, expected a file that can be written; name another one"
        ) from error
