"""The benchmarks run, and the three ways to compute agree. How fast each is belongs to no test."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_peers_that_share_no_code_with_us_compute_the_same_tables():
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--quick", "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )

    assert done.returncode == 0, done.stderr
    assert "ours equals pandas: capitulation_daily" in done.stderr
    assert "ours equals sql: capitulation_daily" in done.stderr
    assert json.loads(done.stdout)["equal"] is True
