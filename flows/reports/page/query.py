"""The page that runs SQL on the publication in the browser, and the engine that it fetches from beside it."""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Final

from markupsafe import escape

from warehouse.questions import questions
from warehouse.views import views

PAGE: Final = "query.html"
TEMPLATE: Final = "query.html.jinja"
SCRIPTS: Final = ("duckdb/duckdb.js", "query.js")
ENGINE: Final = ("duckdb-worker.js.gz", "duckdb.wasm.gz")
"""Files of DuckDB-WASM, in the folder of the pages; compressed, so that every server sends them so."""
MAY_RUN: Final = " 'wasm-unsafe-eval'"
"""The page compiles WebAssembly, beside running its own script."""
MAY_FETCH: Final = "worker-src blob:; connect-src 'self' blob:"
"""It fetches from where it came from; a worker that is made from a blob is under the same policy."""


@cache
def engine() -> Mapping[str, bytes]:
    """The files of `ENGINE`, by name."""
    folder = files("flows.reports.page").joinpath("assets", "duckdb")
    return MappingProxyType({name: folder.joinpath(name).read_bytes() for name in ENGINE})


def model() -> dict[str, Any]:
    """What the template shows beside the head and foot of all pages."""
    megabytes = sum(len(content) for content in engine().values()) / 1e6
    # Escaped here: elsewhere text stands in one line, and these are queries of several.
    examples = [(each.title, escape(each.query)) for each in questions()]
    return {"examples": examples, "views": views(), "engine_mb": megabytes}
