"""Daily runs over a node and a folder of files, with everything that changes what had been published before.

The blocks are those of a recorded chain, its header times drawn out over the days of the sequence. Prices and flows of
exchanges are invented, and stated in files of the form in which vendors export them.
"""

import csv
import math
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from flows.run import applied, pipeline, plan, publish, relabel
from flows.settings import Profile, Settings, read_profile, read_settings
from schemas.errors import HashpivotError
from tests.invocation import REPOSITORY
from tests.node.node_command import LABELS
from tests.node.replay_node import ReplayNode, header_bytes, recorded, twice
from warehouse.registry import REFERENCE, load_registry, registry_digest
from warehouse.registry_rows import registry_rows

FIRST_DAY = date(2025, 12, 31)
RECORDED_DAYS = 11
FIRST_PRICE = FIRST_DAY - timedelta(days=60)
PROFILE = """
title = "A node beside files"
sources = ["node", "files"]

[precedence]
blocks = ["node"]
price = ["coinmetrics_export"]
chain = ["node"]
miner_flows = ["node"]
exchange_flows = ["cryptoquant_export", "coinmetrics_export"]
"""
FAILED = "failed"
CHANGED = ("pool_daily", "block_share_pct")
FORMULA = 'PERCENT * ratio(pl.col("block_count"), pl.col("block_count").sum().over("day"))'
CHANGE = 'Change(on=date(2026, 2, 1), reason="Halved.")'
Event = Callable[["Daily", date], object]
DEPTH = 100
"""Blocks that a re-organisation replaces."""


def drawn_out(days: int) -> list[dict[str, Any]]:
    """The recorded chain, which has `RECORDED_DAYS`, with header times over `days`."""
    chain = recorded()
    start = chain[1]["getblock3"]["time"]
    for before, each in zip(chain[:1] + chain[1:], chain[1:], strict=False):
        block = each["getblock3"]
        block["time"] = start + (block["time"] - start) * days // RECORDED_DAYS
        block["previousblockhash"] = before["getblock3"]["hash"]
        block["hash"] = twice(header_bytes(block))[::-1].hex()
        each["getblockstats"]["blockhash"] = block["hash"]
    return chain


def noon_after(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 12, tzinfo=UTC) + timedelta(days=1)


@dataclass
class Daily:
    """A home, what its runs read, and the settings of each run. `kept`: by version, the moment of its run."""

    folder: Path
    node: ReplayNode
    whole: list[dict[str, Any]]
    monkeypatch: pytest.MonkeyPatch
    factor: dict[date, float] = field(default_factory=dict)
    kept: dict[str, datetime] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.files.mkdir()
        self.labels.write_text("\n".join(LABELS.read_text().splitlines()[:12]) + "\n")
        (self.folder / "sequence.toml").write_text(PROFILE)
        settings = {
            "NODE_URL": self.node.url,
            "NODE_COOKIE_FILE": str(self.node.cookie_file),
            "NODE_CHAIN": "regtest",
            "FILES_DIR": str(self.files),
            "LABELS_FILE": str(self.labels),
            "KEEP_PUBLICATIONS": "100",
        }
        for name, value in settings.items():
            self.monkeypatch.setenv(f"HASHPIVOT_{name}", value)

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def files(self) -> Path:
        return self.folder / "files"

    @property
    def labels(self) -> Path:
        return self.folder / "labels.csv"

    @property
    def profile(self) -> Profile:
        return read_profile(str(self.folder / "sequence.toml"))

    def settings(self, home: Path | None = None) -> Settings:
        return read_settings(home=home or self.home)

    def advance(self, day: date) -> None:
        """Let the node and the files have what they have at noon after `day`."""
        until = noon_after(day).timestamp()
        branch = {each["height"]: each for each in self.node.chain}
        tip = max(each["height"] for each in self.whole if each["getblock3"]["time"] <= until)
        self.whole = [branch.get(each["height"], each) for each in self.whole]
        self.node.chain = self.whole[: tip + 1]
        rows = [["time", "PriceUSD", "FlowInExNtv", "FlowOutExNtv", "SplyExNtv"]]
        for n in range((day - FIRST_PRICE).days + 1):
            of = FIRST_PRICE + timedelta(days=n)
            price = 60_000 * (1 + math.sin(n) / 10) * self.factor.get(of, 1)
            rows.append([f"{of}", f"{price:.2f}", f"{30_000 + n}", f"{31_000 + n}", "2000000"])
        with (self.files / "btc.csv").open("w", newline="") as file:
            csv.writer(file).writerows(rows)

    def run(self, day: date) -> None:
        """The run of noon after `day`."""
        self.advance(day)
        now = noon_after(day)
        outcome = pipeline.run_all(plan.plan(self.settings(), self.profile, now=now))
        self.kept[outcome.published.version] = now

    def run_that_fails(self, day: date) -> str:
        """The run of noon after `day`, of which the node is read and the folder of files is gone."""
        self.advance(day)
        gone = self.files.rename(self.folder / "gone")
        with pytest.raises(HashpivotError, match="FILES_DIR"):
            pipeline.run_all(plan.plan(self.settings(), self.profile, now=noon_after(day)))
        gone.rename(self.files)
        return FAILED

    def revise(self, day: date) -> None:
        """Let the vendor state other prices of four days before `day`."""
        for back in range(2, 6):
            self.factor[day - timedelta(days=back)] = 1.05

    def reorganise(self, _day: date) -> None:
        """Put blocks without transactions in the place of the newest that the node has given."""
        height = self.node.chain[-1]["height"] + 1 - DEPTH
        self.node.chain = list(self.whole)
        self.node.reorganise(height, empty_count=DEPTH)
        self.whole = self.node.chain

    def relabel(self, day: date) -> None:
        """Attribute everything anew with all labels, an hour before the run of `day`."""
        self.labels.write_text(LABELS.read_text())
        now = noon_after(day) - timedelta(hours=1)
        outcome = relabel.relabel(relabel.plan_relabel(self.settings(), self.profile, now=now))
        self.kept[outcome.published.version] = now

    def late_file(self, day: date) -> None:
        """Put a file of another vendor there, which has days from before the first run on."""
        rows = [["date", "Exchange Reserve"]]
        rows += [[f"{FIRST_PRICE + timedelta(days=n)}", "2100000"] for n in range((day - FIRST_PRICE).days)]
        with (self.files / "reserve.csv").open("w", newline="") as file:
            csv.writer(file).writerows(rows)

    def correct_registry(self, _day: date) -> None:
        """Let later runs read a registry in which one deal has another price."""
        folder = self.folder / "registry"
        shutil.copytree(Path(str(REFERENCE)), folder)
        path = folder / "conversion_deal.csv"
        with path.open(newline="") as file:
            header, *rows = csv.reader(file)
        column = header.index("critical_it_mw")
        row = next(row for row in rows if row[column] and not row[header.index("superseded_at")])
        row[column] = str(float(row[column]) + 1)
        with path.open("w", newline="") as file:
            csv.writer(file).writerows([header, *rows])
        self.monkeypatch.setattr(publish, "load_registry", partial(load_registry, folder))
        self.monkeypatch.setattr(applied, "registry_digest", partial(registry_digest, folder))
        self.monkeypatch.setattr(applied, "registry_rows", partial(registry_rows, folder))

    def another_version(self) -> Path:
        """A copy of the code in which the formula of `CHANGED` is another one, with the version of its definition."""
        code = self.folder / "code"
        for package in ("flows", "schemas", "transforms", "warehouse"):
            shutil.copytree(REPOSITORY / package, code / package, ignore=shutil.ignore_patterns("__pycache__"))
        module = code / "transforms" / "metrics" / "pools.py"
        text = module.read_text()
        for before, after in (
            (FORMULA, f"{FORMULA} / 2"),
            ('NULL when the day has no block.",', f'NULL when the day has no block.",\n    changes=[{CHANGE}],'),
            ("import Example, metric", "import Change, Example, metric"),
        ):
            assert before in text
            text = text.replace(before, after, 1)
        module.write_text(text)
        return code

    def run_another_version(self, code: Path, script: str) -> None:
        """Run a script of another version of the code, with the settings of the runs; `self` is not there."""
        done = subprocess.run(
            [sys.executable, "-c", script],
            env=os.environ | {"PYTHONPATH": str(code)},
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr


def run_sequence(daily: Daily, first_day: date, days: int, events: Mapping[int, Sequence[Event]]) -> None:
    """A run a day; before that of a number in `events` what is named there happens, of which a failed run is all."""
    for number in range(days):
        day = first_day + timedelta(days=number)
        happened = [event(daily, day) for event in events.get(number, ())]
        if FAILED not in happened:
            daily.run(day)


def published_tables(folder: Path) -> dict[str, pl.DataFrame]:
    """Every table of a version, a year of one apart."""
    root = folder / "parquet"
    return {str(file.relative_to(root)): pl.read_parquet(file) for file in sorted(root.rglob("*.parquet"))}


def published_meta(folder: Path) -> dict[str, pl.DataFrame]:
    """Every table of the schema meta of a version."""
    return {file.stem: pl.read_parquet(file) for file in sorted((folder / "meta").glob("*.parquet"))}
