"""Extensions of DuckDB: from their packages of the package index, or from where DuckDB itself has put them."""

import importlib.util
from pathlib import Path

import duckdb

from schemas.errors import WarehouseError
from warehouse.statements import text


def load(connection: duckdb.DuckDBPyConnection, name: str) -> None:
    """Load the extension `name` into the database of the connection; makes no request.

    DuckDB verifies the signature of its makers, wherever the file comes from. Raises `WarehouseError` without one that
    fits this DuckDB.
    """
    path = _packaged(name)
    try:
        connection.execute("set autoinstall_known_extensions = false")
        connection.execute(f"load {text(str(path)) if path else name}")
    except duckdb.Error as error:
        package = f"duckdb-extension-{name.replace('_', '-')}"
        raise WarehouseError(
            f"extension {name} of DuckDB: found none for version {duckdb.__version__}, expected one; install the "
            f"package {package}=={duckdb.__version__}, or let DuckDB fetch it by `install {name}`"
        ) from error


def _packaged(name: str) -> Path | None:
    """The file of the extension in its package; None without it, or where it is for another DuckDB."""
    package = f"duckdb_extension_{name}"
    spec = importlib.util.find_spec(package)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(folder) / "extensions" / f"v{duckdb.__version__}" / f"{name}.duckdb_extension"
        if path.is_file():
            return path
    return None
