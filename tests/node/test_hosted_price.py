"""The profile `node`: an own node with a hosted price beside it, which it can do without, while the node it cannot."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.node.node_command import hashpivot, published
from tests.node.replay_node import ReplayNode
from tests.replay import Fault, ReplayServer
from tests.replay.faults import ALWAYS
from tests.replay.sites.coinmetrics import CoinMetricsReplay
from tests.replay.sites.prices import CoinbaseReplay

StartNode = Callable[..., ReplayNode]
DAILY = ("daily", "--profile", "node", "--plain")
TIME_SCALE = 0.1
USD = "select day, price_usd, miner_outflow_btc * price_usd, miner_outflow_usd from capitulation_daily "
OF_BLOCKS = "select day, block_count, miner_outflow_btc, miner_to_exchange_btc from capitulation_daily "
WHOLE_DAYS = "where miner_outflow_btc > 0 order by day"


@pytest.fixture
def prices() -> Iterator[ReplayServer]:
    with ReplayServer([CoinMetricsReplay(), CoinbaseReplay()], time_scale=TIME_SCALE) as server:
        yield server
        server.check()


def test_price_gives_usd_and_every_figure_of_the_chain_stays_the_nodes(
    tmp_path: Path, start_node: StartNode, prices: ReplayServer
) -> None:
    node, home = start_node(), tmp_path / "home"
    done = hashpivot(node, home, *DAILY, **prices.settings())
    assert done.returncode == 0, done.stderr
    days = published(home, USD + WHOLE_DAYS)
    assert len(days) == 11
    assert all(price > 0 and usd == product for _, price, product, usd in days)
    used = dict(
        published(home, "select column_name, sources from meta.columns where table_name = 'capitulation_daily'")
    )
    assert used["price_usd"] == "coinmetrics"
    assert used["miner_outflow_usd"] == "coinmetrics,node"
    assert {used[name] for name in ("block_count", "issuance_btc", "fees_btc", "difficulty", "miner_outflow_btc")} == {
        "node"
    }
    only = tmp_path / "only"
    assert hashpivot(node, only, "daily", "--profile", "node-only", "--plain").returncode == 0
    assert published(home, OF_BLOCKS + WHOLE_DAYS) == published(only, OF_BLOCKS + WHOLE_DAYS)


@pytest.mark.long
def test_price_that_cannot_be_fetched_costs_its_columns_and_no_block(
    tmp_path: Path, start_node: StartNode, prices: ReplayServer
) -> None:
    prices.faults += [Fault("503 text", site, 1, ALWAYS) for site in prices.sites]
    home = tmp_path / "home"
    done = hashpivot(start_node(), home, "daily", "--profile", "node", "--json", **prices.settings())
    assert done.returncode == 0, done.stderr
    sources = json.loads(done.stdout)["sources"]
    assert sources["node"]["missing"] is None
    for name in prices.sites:
        assert "503" in sources[name]["missing"]
        assert "capitulation_daily.price_usd" in sources[name]["null_columns"]
    days = published(home, OF_BLOCKS + WHOLE_DAYS)
    assert len(days) == 11
    assert all(None not in day for day in days)
    assert {usd for *_, usd in published(home, USD + WHOLE_DAYS)} == {None}


def test_node_that_fails_ends_the_run_with_its_error_whatever_the_price(
    tmp_path: Path, start_node: StartNode, prices: ReplayServer
) -> None:
    node, home = start_node(), tmp_path / "home"
    missing = str(tmp_path / "nobody.cookie")
    for changed, code, message in (
        ({"HASHPIVOT_NODE_COOKIE_FILE": missing}, 2, "nobody.cookie"),
        ({"HASHPIVOT_NODE_URL": ""}, 2, "HASHPIVOT_NODE_URL"),
    ):
        done = hashpivot(node, home, *DAILY, **prices.settings(), **changed)
        assert (done.returncode, done.stderr.splitlines()[-1].startswith("error: ")) == (code, True), done.stderr
        assert message in done.stderr
        assert not (home / "published" / "current").exists()
    node.facts = {"initialblockdownload": True}
    done = hashpivot(node, home, *DAILY, **prices.settings())
    assert done.returncode == 75, done.stderr
    assert not (home / "published" / "current").exists()


def test_doctor_names_the_node_and_the_price_and_takes_only_the_price_as_optional(
    tmp_path: Path, start_node: StartNode, prices: ReplayServer
) -> None:
    node, home = start_node(), tmp_path / "home"
    arguments = ("doctor", "--profile", "node", "--json")

    def states(**changed: str) -> dict[str, str]:
        findings = json.loads(hashpivot(node, home, *arguments, **prices.settings(), **changed).stdout)
        return {each["what"]: each["state"] for each in findings if each["what"].startswith("source ")}

    assert states() == {"source node": "ok", "source coinmetrics": "ok", "source coinbase": "ok"}
    assert states(HASHPIVOT_NODE_URL="")["source node"] == "PROBLEM"
