"""The benchmark of the main network's size runs, and the next day's run publishes what a full recompute does."""

import json
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from benchmarks.mainnet_state import exponent
from benchmarks.steps import measured
from tests.benchmarks.test_benchmarks import ROOT
from transforms.calendar import spine


@pytest.mark.long
def test_the_next_day_is_equal_to_a_full_recompute(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.mainnet_state", "--quick", "--scale", "1", "--json"]
    done = subprocess.run([*command, "--cache", tmp_path], cwd=ROOT, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr
    assert "rows of the next day's run and of everything at once" in done.stderr
    figures = json.loads(done.stdout)
    (first,), (following,) = figures["runs"]["first"], figures["runs"]["next"]
    (facts,) = figures["facts"]
    assert facts["block_count"] > 3_000
    assert facts["transfer_count"] > 4 * facts["block_count"]
    assert following["rows"] > first["rows"] > facts["transfer_count"]
    assert following["append, s"] > 0
    assert 0 < following["new files, MB"] <= following["all files, MB"]
    (steps,) = figures["steps"]["next"]
    assert steps["vintages.append[miner_transfer]"] > 0
    assert steps["publish.publish_run > build.build"] > 0


@pytest.mark.parametrize(("power", "values"), [(0, [3, 3, 3]), (1, [2, 4, 8]), (2, [1, 4, 16])])
def test_exponent_is_the_power_of_growth(power: int, values: list[float]) -> None:
    assert exponent([0.5, 1, 2], values) == pytest.approx(power)


def test_nothing_grows_with_one_scale_or_without_time() -> None:
    assert exponent([1], [2]) is None
    assert exponent([1, 2], [0, 1]) is None


def test_steps_are_our_functions_alone() -> None:
    with measured() as seconds:
        spine(date(2024, 1, 1), date(2024, 1, 2))
        json.dumps([])
    assert list(seconds) == [("calendar.spine",)]
