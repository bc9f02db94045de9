"""The import contracts of `pyproject.toml` cover every module, and report every import against them."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import grimp

from tests.invocation import REPOSITORY

LINT_IMPORTS = Path(sys.executable).with_name("lint-imports")
CONFIGURATION = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
CONTRACTS = CONFIGURATION["contracts"]
PACKAGES = CONFIGURATION["root_packages"]

PLANTED = {
    "schemas": ("pathlib", "sqlalchemy"),
    "transforms": ("urllib.request", "socket", "os", "pathlib", "time", "random", "subprocess", "duckdb", "logging"),
    "warehouse": ("prefect", "requests", "socket"),
    "flows.settings": ("requests", "warehouse.working"),
    "flows.variables": ("requests", "warehouse.working"),
    "flows.startup": ("polars", "flows.settings"),
    "flows.sources": ("prefect", "duckdb", "warehouse.working", "flows.run.plan"),
    "flows.run": ("prefect", "requests", "urllib.request", "flows.reports.brief"),
    "flows.reports": ("prefect", "requests", "flows.sources.choose", "flows.run.plan"),
    "flows.command": ("prefect", "duckdb", "requests"),
    "flows.scheduled": ("duckdb", "requests", "flows.command.cli"),
}
"""Imports that the contract of each folder does not allow."""

ACROSS_LAYERS = (("schemas", "transforms.catalog"), ("transforms", "warehouse.working"), ("flows.sources", "flows.run"))
"""Imports against a contract of layers."""


def plant(folder: Path, imports: dict[str, list[str]]) -> dict[str, str]:
    """Write one module a folder with the `imports`; returns the name of each."""
    names = {}
    for package, modules in imports.items():
        path = folder.joinpath(*package.split("."))
        if path.is_dir():
            path, names[package] = path / "planted.py", f"{package}.planted"
        else:
            path, names[package] = path.with_suffix(".py"), package
        with path.open("a", encoding="utf-8") as file:
            file.writelines(f"\nimport {module}" for module in modules)
    return names


def test_contracts_report_every_planted_import(tmp_path: Path) -> None:
    shutil.copy(REPOSITORY / "pyproject.toml", tmp_path)
    shutil.copytree(REPOSITORY / "tests" / "house", tmp_path / "tests" / "house")
    for package in PACKAGES:
        shutil.copytree(REPOSITORY / package, tmp_path / package)
    imports = {package: list(modules) for package, modules in PLANTED.items()}
    for package, module in ACROSS_LAYERS:
        imports[package].append(module)
    names = plant(tmp_path, imports)
    done = subprocess.run(
        [LINT_IMPORTS, "--no-cache"], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    text = re.sub(r"\s+", " ", done.stdout)
    assert done.returncode == 1, done.stdout + done.stderr
    assert f"Contracts: 0 kept, {len(CONTRACTS)} broken." in text, done.stdout
    reported = set(re.findall(r"- (\S+) imports (\S+) \(line \d+\), which is not", text))
    # Modules of other packages are known by their first name.
    expected = {
        (names[package], module if module.split(".")[0] in PACKAGES else module.split(".")[0])
        for package, modules in imports.items()
        for module in modules
    }
    assert reported == expected
    for package, module in ACROSS_LAYERS:
        assert f"- {names[package]} -> {module}" in text, done.stdout


def test_each_module_is_under_one_list_of_allowed_imports() -> None:
    sources = [name for contract in CONTRACTS if contract["type"] == "allowed" for name in contract["source_modules"]]
    assert sorted(sources) == sorted(PLANTED)
    for module in grimp.build_graph(*PACKAGES, cache_dir=None).modules - {"flows", "flows.profiles"}:
        over = [name for name in sources if f"{module}.".startswith(f"{name}.")]
        assert len(over) == 1, f"{module} is under {over}"
