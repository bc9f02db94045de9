"""What axe, a checker of accessibility, finds wrong on a page."""

import gzip
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Page

AXE = Path(__file__).parent / "axe"


def violations(page: "Page", rules: list[str] | None = None, places: tuple[str, ...] = ("html",)) -> list[str]:
    """What axe finds in `places`, each with its place: by all of its rules, or by `rules`."""
    page.evaluate(gzip.decompress((AXE / "axe.min.js.gz").read_bytes()).decode())
    options = {"resultTypes": ["violations"], **({"runOnly": rules} if rules else {})}
    script = "async ([places, options]) => (await axe.run({ include: places }, options)).violations"
    found: list[dict[str, Any]] = page.evaluate(script, [[[place] for place in places], options])
    return [f"{each['id']}: {node['html'][:160]}" for each in found for node in each["nodes"]]
