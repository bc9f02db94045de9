"""The live profile as a person meets it: from an empty home to a publication, day after day, and when sources fail."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.invocation import Hashpivot, clean_environment, invoke, last_final_day
from tests.replay import Fault, ReplayServer
from tests.replay.faults import ALWAYS
from tests.replay.sites import all_sites
from tests.replay.sites.coinmetrics import CoinMetricsReplay

TIME_SCALE = 0.1
"""Three seconds for a response: a busy machine takes one for a whole history."""
MOST_REQUESTS_A_LATER_DAY = 40
TWO_SOURCES = """
title = "Coin Metrics beside another"
degrades = {degrades}
sources = ["coinmetrics", "{other}"]
[precedence]
price = {totals}
chain = {totals}
exchange_flows = ["coinmetrics"]
blocks = ["{blocks}"]
miner_flows = ["{flows}"]
"""
SUPPLIERS = {
    "files": ("coinmetrics_export", "pool_blocks_export", "cryptoquant_export"),
    "node": (None, "node", "node"),
    "simulated": (None, "simulated", "simulated"),
}
"""By the other source, who it adds to the totals of Coin Metrics, and who states blocks and miner flows."""


def query(folder: Path, statement: str) -> list[dict[str, Any]]:
    shown: list[dict[str, Any]] = json.loads(invoke(folder, "sql", statement, "--json").stdout)
    return shown


@pytest.fixture
def server() -> Iterator[ReplayServer]:
    with ReplayServer(all_sites(), time_scale=TIME_SCALE) as server:
        yield server
        server.check()


def run(
    hashpivot: Hashpivot, server: ReplayServer, *options: str, profile: str = "live"
) -> subprocess.CompletedProcess[str]:
    return hashpivot("daily", "--plain", "--profile", profile, *options, **server.settings())


def write_profile(folder: Path, other: str, degrades: bool = True) -> str:
    second, blocks, flows = SUPPLIERS[other]
    totals = json.dumps(["coinmetrics", *([second] if second else [])])
    text = TWO_SOURCES.format(other=other, degrades=str(degrades).lower(), totals=totals, blocks=blocks, flows=flows)
    (folder / "mine.toml").write_text(text, "utf-8")
    return "mine.toml"


def write_export(folder: Path) -> None:
    """A Coin Metrics file of forty invented days."""
    days = [last_final_day() - timedelta(days=n) for n in range(40)]
    lines = [f"{day},144,2.5,450,{90_000 + n}" for n, day in enumerate(days)]
    (folder / "exports").mkdir()
    (folder / "exports" / "export.csv").write_text("\n".join(["time,BlkCnt,FeeTotNtv,IssTotNtv,PriceUSD", *lines]))


@pytest.mark.long
def test_empty_home_to_a_publication_then_a_day_costs_little_and_a_changed_history_is_reported(
    hashpivot: Hashpivot, server: ReplayServer, tmp_path: Path
) -> None:
    first = run(hashpivot, server, "--day", str(last_final_day() - timedelta(days=1)))
    assert first.returncode == 0, first.stderr
    assert "estimate: coinmetrics: 2 requests" in first.stderr
    assert "1,000 allowed" in first.stderr
    assert "Requested from coinmetrics: 2 requests" in first.stdout
    before = len(server.log)

    second = run(hashpivot, server, "--json")
    assert second.returncode == 0, second.stderr
    shown = json.loads(second.stdout)
    sent_count = len(server.log) - before
    assert sent_count == sum(facts["used"]["requests_count"] for facts in shown["sources"].values())
    assert sent_count < MOST_REQUESTS_A_LATER_DAY
    assert shown["day"] == str(last_final_day())
    assert shown["sources"]["coinmetrics"]["revised_count"] == 0
    assert shown["sources"]["coinmetrics"]["missing"] is None
    (row,) = query(
        tmp_path, "select request_count, received_bytes > 0 as some from meta.sources where source = 'coinmetrics'"
    )
    assert row == {"request_count": shown["sources"]["coinmetrics"]["used"]["requests_count"], "some": True}

    site = server.sites["coinmetrics"]
    assert isinstance(site, CoinMetricsReplay)
    site.switches["vintage"]()
    assert run(hashpivot, server).returncode == 0
    (changed,) = query(tmp_path, "select * from meta.revisions where source = 'coinmetrics'")
    assert (changed["item"], changed["day"]) == ("exchange_inflow_sat", str(site.through - timedelta(days=3)))
    assert changed["value_after"] == 1_234_567_800_000
    assert changed["difference"] == changed["value_after"] - changed["value_before"]
    assert changed["stated_at"] < changed["observed_at"]


@pytest.mark.long
def test_scheduler_runs_it_as_well_and_shows_the_plan(
    hashpivot: Hashpivot, server: ReplayServer, tmp_path: Path
) -> None:
    done = hashpivot("daily", "--profile", "live", "--json", "--max-requests", "500", **server.settings())
    assert done.returncode == 0, done.stderr
    assert "estimate: coinmetrics: 2 requests" in done.stderr
    assert "500 allowed" in done.stderr
    shown = json.loads(done.stdout)
    used = shown["sources"]["coinmetrics"]["used"]
    assert used["requests_count"] - used["retries_count"] == 2  # a busy machine may repeat the request
    assert shown["rows"]["capitulation_daily"] > 6_000


@pytest.mark.long
def test_dead_source_under_the_scheduler_is_not_tried_for_hours(
    hashpivot: Hashpivot, server: ReplayServer, tmp_path: Path
) -> None:
    server.faults.append(Fault("503 text", "coinmetrics", 1, ALWAYS))
    write_export(tmp_path)
    profile = write_profile(tmp_path, "files")
    done = hashpivot("daily", "--profile", profile, "--files-dir", "exports", **server.settings())
    assert done.returncode == 0, done.stderr
    assert "goes on without source=coinmetrics" in done.stderr
    assert len(server.requests_of("coinmetrics")) == 4


def test_source_that_nobody_set_up_is_reported_with_what_it_costs(
    hashpivot: Hashpivot, server: ReplayServer, tmp_path: Path
) -> None:
    profile = write_profile(tmp_path, "node")
    done = run(hashpivot, server, profile=profile)
    assert done.returncode == 0, done.stderr
    assert "Without node: HASHPIVOT_NODE_URL" in done.stdout
    shown = json.loads(run(hashpivot, server, "--json", profile=profile).stdout)
    assert shown["sources"]["node"]["is_choice"]
    assert "capitulation_daily.miner_outflow_btc" in shown["sources"]["node"]["null_columns"]
    assert "capitulation_daily.price_usd" not in shown["sources"]["node"]["null_columns"]
    (row,) = query(tmp_path, "select severity, passed, detail from meta.quality where check_name = 'node: missing'")
    assert (row["severity"], row["passed"]) == ("notice", True)
    assert "such as http://127.0.0.1:8332" in row["detail"]
    assert "capitulation_daily.miner_outflow_btc" in row["detail"]


def test_dead_source_leaves_a_publication_of_the_others(
    hashpivot: Hashpivot, server: ReplayServer, tmp_path: Path
) -> None:
    server.faults.append(Fault("503 text", "coinmetrics", 1, ALWAYS))
    write_export(tmp_path)
    profile = write_profile(tmp_path, "files")
    done = run(hashpivot, server, "--files-dir", "exports", profile=profile)
    assert done.returncode == 0, done.stderr
    assert "retry in" in done.stderr
    assert "Without coinmetrics: " in done.stdout
    (row,) = query(
        tmp_path, "select severity, passed, detail from meta.quality where check_name = 'coinmetrics: missing'"
    )
    assert (row["severity"], row["passed"]) == ("warning", False)
    assert "upstream connect error" in row["detail"]
    (row,) = query(tmp_path, "select count(price_usd) as days from capitulation_daily")
    assert row["days"] >= 39


def test_profile_that_does_not_degrade_fails_with_the_error_of_its_source(
    hashpivot: Hashpivot, server: ReplayServer, tmp_path: Path
) -> None:
    server.faults.append(Fault("503 text", "coinmetrics", 1, ALWAYS))
    done = run(hashpivot, server, profile=write_profile(tmp_path, "simulated", degrades=False))
    assert done.returncode == 75
    assert "upstream connect error" in done.stderr


def test_spent_budget_keeps_what_is_there_and_states_how_to_go_on(
    hashpivot: Hashpivot, server: ReplayServer, tmp_path: Path
) -> None:
    write_export(tmp_path)
    profile = write_profile(tmp_path, "files")
    done = run(hashpivot, server, "--files-dir", "exports", "--max-requests", "1", profile=profile)
    assert done.returncode == 0, done.stderr
    assert "1 allowed, so that a later run has to go on" in done.stderr
    assert "HASHPIVOT_MAX_REQUESTS" in done.stdout
    assert len(server.log) == 1


def test_all_dead_publishes_nothing_and_the_last_publication_stays(
    hashpivot: Hashpivot, server: ReplayServer, tmp_path: Path
) -> None:
    for site in server.sites:
        server.faults.append(Fault("503 text", site, 1, ALWAYS))
    nothing = run(hashpivot, server)
    assert nothing.returncode == 6
    last = nothing.stderr.splitlines()[-1]
    assert last.startswith("error: ")
    assert "coinmetrics: " in last
    assert "upstream connect error" in last
    assert not (tmp_path / "data" / "published").exists()

    faults, server.faults = server.faults, []
    assert run(hashpivot, server).returncode == 0
    before = (tmp_path / "data/published/current").readlink()
    server.faults = faults
    assert run(hashpivot, server).returncode == 6
    assert (tmp_path / "data/published/current").readlink() == before
    (row,) = query(tmp_path, "select count(*) as runs from meta.runs")
    assert row == {"runs": 2}


def state_of(done: subprocess.CompletedProcess[str], source: str) -> dict[str, str]:
    row: dict[str, str] = next(row for row in json.loads(done.stdout) if row["what"] == f"source {source}")
    return row


def test_doctor_requests_once_and_explains(hashpivot: Hashpivot, server: ReplayServer, tmp_path: Path) -> None:
    settings, site = server.settings(), server.sites["coinmetrics"]
    assert isinstance(site, CoinMetricsReplay)
    row = state_of(hashpivot("doctor", "--profile", "live", "--json", **settings), "coinmetrics")
    assert (row["state"], row["found"]) == ("ok", f"responds, newest day {site.through}")
    assert len(server.requests_of("coinmetrics")) == 1

    wrong = settings | {"HASHPIVOT_COINMETRICS_URL": "ftp://example.org"}
    assert (
        "HASHPIVOT_COINMETRICS_URL"
        in state_of(hashpivot("doctor", "--profile", "live", "--json", **wrong), "coinmetrics")["found"]
    )

    nobody = settings | {"HASHPIVOT_COINMETRICS_URL": "http://127.0.0.1:9"}
    row = state_of(hashpivot("doctor", "--profile", "live", "--json", **nobody), "coinmetrics")
    assert row["state"] == "PROBLEM"
    assert "no server that listens there" in row["found"]
    assert "HASHPIVOT_COINMETRICS_URL" in row["what to do"]

    profile = write_profile(tmp_path, "node")
    row = state_of(hashpivot("doctor", "--profile", profile, "--json", **settings), "node")
    assert row["state"] == "left out"
    assert "HASHPIVOT_NODE_URL" in row["found"]


def test_doctor_states_until_when_a_source_is_paused_and_does_not_request_it(
    hashpivot: Hashpivot, server: ReplayServer
) -> None:
    server.faults.append(Fault("429 come back tomorrow", "coinmetrics"))
    assert (
        "429"
        in state_of(hashpivot("doctor", "--profile", "live", "--json", **server.settings()), "coinmetrics")["found"]
    )
    done = hashpivot("doctor", "--profile", "live", "--json", **server.settings())
    assert done.returncode == 1
    assert "no request before" in state_of(done, "coinmetrics")["found"]
    assert len(server.requests_of("coinmetrics")) == 1


def test_doctor_shows_no_secret(hashpivot: Hashpivot, server: ReplayServer) -> None:
    secret = "correct-horse-battery"
    settings = server.settings() | {"HASHPIVOT_COINMETRICS_KEY": secret}
    server.faults.append(Fault("500 json", "coinmetrics"))
    done = hashpivot("doctor", "--profile", "live", "--json", **settings)
    assert "internal error" in done.stdout
    assert secret not in done.stdout + done.stderr
    server.sites["coinmetrics"].secret = secret
    assert server.requests_of("coinmetrics")[0].query["api_key"] == secret


@pytest.mark.long
def test_replay_server_runs_by_hand(hashpivot: Hashpivot) -> None:
    command = [sys.executable, "-m", "tests.replay", "--port", "0", "--time-scale", str(TIME_SCALE)]
    root = Path(__file__).parents[2]
    replay = subprocess.Popen(command, cwd=root, env=clean_environment(), stdout=subprocess.PIPE, text=True)
    try:
        assert replay.stdout is not None
        settings = {}
        deadline = time.monotonic() + 120
        for line in replay.stdout:
            assert time.monotonic() < deadline
            if line.startswith("export "):
                name, _, value = line.removeprefix("export ").strip().partition("=")
                settings[name] = value.strip("'")
            if "watching" in line:
                break
        assert settings["HASHPIVOT_PROFILE"] == "live"
        done = hashpivot("daily", "--plain", **settings)
        assert done.returncode == 0, done.stderr
    finally:
        replay.terminate()
        rest = replay.communicate(timeout=120)[0]
    assert "RULE BROKEN" not in rest
