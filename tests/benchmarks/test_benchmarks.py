"""The benchmarks run, and what is compared in them agrees. How fast each is belongs to no test."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.node.bitcoind import require
from tests.postgres_server import program

ROOT = Path(__file__).resolve().parents[2]


def quick(module: str, *options: str) -> tuple[dict[str, Any], str]:
    """Figures of a quick run, and what it reported meanwhile."""
    command = [sys.executable, "-m", module, "--quick", "--json", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), done.stderr


@pytest.mark.long
def test_peers_that_share_no_code_with_us_compute_the_same_tables():
    figures, output = quick("benchmarks")
    assert "ours equals pandas: capitulation_daily" in output
    assert "ours equals sql: capitulation_daily" in output
    assert figures["equal"] is True


def test_bitcoin_etl_finds_the_same_values_and_fees_in_blocks_of_one_node():
    require("that bitcoin-etl finds the same values and fees")
    if not (ROOT / ".venv" / "peers").is_dir():
        pytest.skip("bitcoin-etl not installed; make .venv/.peers")
    figures, _ = quick("benchmarks.bitcoin_etl")
    assert figures["equal"] is True
    assert figures["inputs compared"] > 500


def test_a_first_run_is_measured_on_a_real_node_with_and_without_rest():
    require("what a first run costs")
    figures, _ = quick("benchmarks.cold_start")
    assert len(figures) == 6
    assert {name.split(" over ")[1][:4].strip(", ") for name in figures} == {"REST", "RPC"}


@pytest.mark.long
def test_a_publication_to_postgresql_has_the_rows_of_its_files():
    program("initdb")
    figures, _ = quick("benchmarks.postgresql")
    assert figures["equal"] is True
    assert 0 < figures["sent, next day, bytes"] < figures["sent, all, bytes"]


@pytest.mark.long
@pytest.mark.parametrize("layout", ["aws", "bigquery"])
def test_a_day_of_the_lake_is_attributed_as_one_query_over_its_files_does(layout: str):
    figures, _ = quick("benchmarks.lake", "--layout", layout)
    assert figures["equal"] is True
    assert figures["compared transfers"] > 0
    assert figures["received_bytes"] >= figures["sent_bytes_of_files"] >= figures["needed_bytes"]
