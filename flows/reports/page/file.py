"""The report and its pictures as files: where the publication has them, or written anew where somebody wants them."""

from pathlib import Path

from flows.reports.page.given import of_folder, shown_before
from flows.reports.page.pages import REPORT, single_page
from flows.reports.page.pictures import SMALL, inline, pictures, svg
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
    _write(output, single_page(of_folder(published, before)))


def write_pictures(published: Path, folder: Path) -> list[Path]:
    """Write the pictures of the current publication under `published` to `folder`; return their paths.

    Raises `WarehouseError` where there is no publication, or where a file cannot be written.
    """
    found = {folder / name: content for name, content in pictures(of_folder(published, None)).items()}
    for path, content in found.items():
        _write(path, content)
    return list(found)


def small_picture(published: Path) -> str:
    """The score of the last year as an address that holds all of it. Raises `WarehouseError` without a publication."""
    return inline(svg(of_folder(published, None), SMALL))


def _write(path: Path, content: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as error:
        raise WarehouseError(
            f"{path}: found {error.strerror!r}, expected a file that can be written; name another one"
        ) from error
