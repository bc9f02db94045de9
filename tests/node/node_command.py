"""The command over a replay node, and what it published."""

import os
import subprocess
from pathlib import Path
from typing import Any, Protocol

import duckdb

from tests.invocation import run_command

Finished = subprocess.CompletedProcess[str]
LABELS = Path(__file__).parents[1] / "attribution" / "recorded" / "labels.csv"
DAILY = ("daily", "--profile", "node-only", "--plain")


class RunningNode(Protocol):
    """A replay node or a real one."""

    @property
    def url(self) -> str: ...

    @property
    def cookie_file(self) -> Path: ...


def environment(node: RunningNode, home: Path, **changed: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("HASHPIVOT_")}
    settings = {
        "HASHPIVOT_HOME": str(home),
        "HASHPIVOT_NODE_URL": node.url,
        "HASHPIVOT_NODE_COOKIE_FILE": str(node.cookie_file),
        "HASHPIVOT_NODE_CHAIN": "regtest",
        "HASHPIVOT_LABELS_FILE": str(LABELS),
    }
    return kept | {"COLUMNS": "120"} | settings | changed


def hashpivot(node: RunningNode, home: Path, *arguments: str, **changed: str) -> Finished:
    return run_command(*arguments, folder=Path.cwd(), environment=environment(node, home, **changed))


def published(home: Path, sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(home / "published" / "hashpivot.duckdb"), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def tables(home: Path) -> dict[str, list[tuple[Any, ...]]]:
    """All tables that depend on the node."""
    flows = ("exchange_flow_daily", "exchange_flow_by_exchange_daily", "exchange_flow_by_pool_daily")
    names = ("capitulation_daily", "pool_daily", *flows, "exchange_flow_total_daily", "miner_transfer")
    return {name: published(home, f"from {name} order by all") for name in names}
