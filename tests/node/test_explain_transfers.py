"""From every figure of flows back to its transactions or blocks, with the addresses of both sides."""

import json
import math
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import pytest

from benchmarks.rules_by_hand import ByHand
from flows.command.addresses import NO_NODE
from flows.reports.explain import Explanation, explain
from flows.reports.explain_columns import FREE_PARTS, MADE, explained_inputs
from schemas.errors import TerminalError
from schemas.table import Origin
from schemas.units import SAT_PER_BTC, Unit
from tests.attribution.recorded_chain import exchanges, recorded_blocks
from tests.invocation import run_command
from tests.node.node_command import environment, hashpivot, published
from tests.node.replay_node import Fault, ReplayNode
from transforms.catalog import TABLES
from transforms.metrics import transfers

StartNode = Callable[..., ReplayNode]
DAY = date(2026, 1, 5)
FIGURE = ("capitulation_daily", "miner_to_exchange_btc", str(DAY))
ALL_COLUMNS = [(table, column) for table, columns in MADE.items() for column in columns]
ROWS_OF_A_COLUMN = 8
BY_HAND = {
    "outflow_btc": "out",
    "inflow_btc": "in",
    "fee_btc": "fee",
    "one_hop_outflow_btc": "out1",
    "coinbase_direct_to_exchange_btc": "direct",
}
"""Sums of blocks by the names that `ByHand` gives them."""
ELSEWHERE = {
    *("miner_to_exchange_30d_btc", "miner_to_exchange_max_30d_btc", "miner_outflow_usd"),
    "coinbase_direct_to_exchange_btc",
}
"""NULL or 0 on a recorded chain of twelve days without a price; `tests/reports/test_explain.py` has them."""


@pytest.fixture(scope="module")
def home(clean: Path) -> Path:
    """What one run over the whole recorded chain left."""
    return clean


def explained(home: Path, table: str, column: str, day: date, **key: str) -> Explanation:
    return explain(home / "published", home / "warehouse" / "working.duckdb", table, column, day, key)


def rows_with(home: Path, table: str, column: str) -> Iterator[tuple[date, dict[str, str], float]]:
    """Some rows of `table` in which `column` is known: their day, the rest of their key, and the figure."""
    if table in FREE_PARTS:
        sql = f"select day, sum({column}) from {table} group by day having count(*) = count({column}) order by day"
        for day, figure in published(home, sql):
            yield day, {}, float(figure)
        return
    names = TABLES[table].key
    sql = f"select {', '.join(names)}, {column} from {table} where {column} <> 0 order by hash({names[-1]}), {column}"
    for row in published(home, f"{sql} limit {ROWS_OF_A_COLUMN}"):
        yield row[0], dict(zip(names[1:], row[1:-1], strict=True)), row[-1]


@pytest.mark.parametrize(("table", "column"), ALL_COLUMNS)
def test_parts_add_up_to_the_published_figure_to_the_satoshi(home: Path, table: str, column: str) -> None:
    rows = list(rows_with(home, table, column))
    assert rows or column in ELSEWHERE
    for day, key, figure in rows:
        found = explained(home, table, column, day, **key)
        sat = sum(part["amount_sat"] for part in found.parts)
        assert sat == found.amount_sat
        count = found.transaction_count or 0
        if column.endswith("_count"):
            assert (figure, figure) == (found.figure, count)
        elif "mean" in column:
            assert round(figure * count * SAT_PER_BTC) == sat
        elif column.endswith("_pct"):
            outflow = explained(home, table, "outflow_btc", day).amount_sat
            assert math.isclose(figure, 100 * sat / outflow)
        else:
            assert round(figure * (1 if column.endswith("_sat") else SAT_PER_BTC)) == sat
        amounts = [abs(part["amount_sat"]) for part in found.parts]
        assert amounts == sorted(amounts, reverse=True)
        assert all(amounts)
        named = {name: {part[name] for part in found.parts} for name in key}
        assert named == {name: {value} for name, value in key.items()}


@pytest.mark.parametrize("hop", [0, 1])
def test_transfers_of_both_layers_are_those_of_the_rules_by_hand(home: Path, by_hand: ByHand, hop: int) -> None:
    column = ("outflow_to_exchange_btc", "one_hop_to_exchange_btc")[hop]
    days = [day for (day,) in published(home, "select day from miner_flow_daily")]
    names = ("height", "block_hash", "txid", "exchange", "pool", "hop_count", "transfer_sat", "fresh_sat")
    names += ("miner_input_sat", "total_input_sat", "quality")
    found = [
        tuple(part[name] for name in names)
        for day in days
        for part in explained(home, "miner_flow_daily", column, day).parts
    ]
    heights = {height for (height,) in published(home, "select distinct height from miner_transfer")}
    assert sorted(found) == sorted(row for row in by_hand.rows if row[5] == hop and row[0] in heights)
    assert len(found) > 200


@pytest.mark.parametrize("column", BY_HAND)
def test_blocks_are_those_of_the_rules_by_hand(home: Path, by_hand: ByHand, column: str) -> None:
    days = [day for (day,) in published(home, f"select day from miner_flow_daily where {column} > 0")]
    found = {
        part["height"]: part["amount_sat"]
        for day in days
        for part in explained(home, "miner_flow_daily", column, day).parts
    }
    truth = {height: sums[BY_HAND[column]] for height, sums in enumerate(by_hand.blocks) if sums[BY_HAND[column]]}
    # Every block has an inflow, so that these are the blocks of the days that are published.
    whole = explained(
        home,
        "miner_flow_daily",
        "inflow_btc",
        max(day for (day,) in published(home, "select day from miner_flow_daily")),
    )
    last = max(part["height"] for part in whole.parts)
    assert found == {height: sat for height, sat in truth.items() if height <= last}


def test_every_figure_of_flows_is_explained_or_names_one_that_is() -> None:
    of_flows = {
        (table.name, m.name)
        for table in TABLES.values()
        if table.lineage and table.lineage.origin in (Origin.FLOWS, Origin.TRANSFERS)
        # What is summed by month is the sum of days, each of which is explained.
        if "day" in {m.name for m in table.metrics}
        for m in table.metrics
        if m.unit in (Unit.BTC, Unit.SAT, Unit.COUNT, Unit.PERCENT) and m is not transfers.hop_count
    }
    assert of_flows <= set(ALL_COLUMNS)
    days = {m.name for m in TABLES["capitulation_daily"].metrics if m.name.startswith(("miner_to_exchange", "mpi"))}
    neither = {
        name
        for name in days
        if name not in MADE["capitulation_daily"] and not explained_inputs("capitulation_daily", name)
    }
    assert neither == set()


def test_text_lists_the_largest_and_how_much_the_others_are(home: Path, start_node: StartNode) -> None:
    node = start_node()
    done = hashpivot(node, home, "explain", *FIGURE, "--top", "3")
    assert done.returncode == 0, done.stderr
    found = explained(home, FIGURE[0], FIGURE[1], DAY)
    lines = done.stdout.splitlines()
    assert lines[0] == f"capitulation_daily.miner_to_exchange_btc on {DAY}: {found.figure:,}"
    assert lines[1].startswith(f"the sum of {found.amount_sat:,} satoshi in {found.transaction_count} transactions")
    listed = [line.split()[1] for line in lines if line.startswith("    transaction ")]
    assert listed == [part["txid"] for part in found.parts[:3]]
    rest = found.parts[3:]
    rest_sat = sum(part["amount_sat"] for part in rest)
    assert (
        f"and {len(rest)} more transfers of {rest_sat:,} satoshi, with those above {found.amount_sat:,}" in done.stdout
    )
    assert lines[-1] == f"addresses: from the blocks of {node.url}"
    assert node.seen["getblock"] == len({part["block_hash"] for part in found.parts[:3]})
    assert sum(line.startswith(("    from ", "    to   ")) for line in lines) == 6
    everything = hashpivot(node, home, "explain", *FIGURE, "--all")
    assert everything.returncode == 0, everything.stderr
    assert everything.stdout.count("    transaction ") == len(found.parts)
    assert "more transfers" not in everything.stdout


def test_addresses_are_those_of_the_transactions_and_add_up(home: Path, start_node: StartNode, by_hand: ByHand) -> None:
    done = hashpivot(start_node(), home, "explain", "miner_transfer", "transfer_sat", str(DAY), "--json", "--all")
    assert done.returncode == 0, done.stderr
    message = json.loads(done.stdout)
    assert sum(each["transfer_sat"] for each in message["transfers"]) == message["amount_sat"] == message["figure"]
    coins = {
        coin["scriptPubKey"]["hex"]: coin["scriptPubKey"].get("address")
        for block in recorded_blocks()
        for tx in block["tx"]
        for coin in (*tx["vout"], *(spent["prevout"] for spent in tx["vin"] if "prevout" in spent))
    }
    labelled, layers = exchanges(), (by_hand.coinbase_pool, by_hand.credited)
    for each in message["transfers"]:
        assert sum(side["sat"] for side in each["to"]) == each["transfer_sat"]
        assert {labelled[side["script"]] for side in each["to"]} == {each["exchange"]}
        assert sum(side["sat"] for side in each["from"]) == each["miner_input_sat"]
        assert {side["script"] in layers[each["hop_count"]] for side in each["from"]} == {True}
        for side in (*each["from"], *each["to"]):
            assert side["address"] == coins[side["script"]]
    assert Counter(each["hop_count"] for each in message["transfers"]).keys() == {0, 1}
    assert {"A", "C"} <= {each["quality"] for each in message["transfers"]}


def test_json_has_all_transfers_and_addresses_of_the_largest(home: Path, start_node: StartNode) -> None:
    message = json.loads(hashpivot(start_node(), home, "explain", *FIGURE, "--json", "--top", "2").stdout)
    shown, others = message["transfers"][:2], message["transfers"][2:]
    assert all(each["from"] and each["to"] for each in shown)
    assert others
    assert all(each["from"] is None and each["to"] is None for each in others)
    assert sum(each["share_pct"] for each in message["transfers"]) == pytest.approx(100)


def test_what_keeps_addresses_unknown_is_one_line(home: Path, tmp_path: Path, start_node: StartNode) -> None:
    fewer = tmp_path / "fewer.csv"
    fewer.write_text("address,entity,kind\n2MyPejWtC8ZVuN5TkbEztE39DfT5dXvYePE,user,user\n")
    for changed, line in (
        ({"HASHPIVOT_NODE_URL": "http://127.0.0.1:1"}, "addresses: not read: http://127.0.0.1:1"),
        ({"HASHPIVOT_LABELS_FILE": str(fewer)}, "3 the receivers are not known, as labels are now of set "),
    ):
        done = hashpivot(start_node(), home, "explain", *FIGURE, "--top", "3", **changed)
        assert done.returncode == 0, done.stderr
        assert line in done.stdout.splitlines()[-1]
        assert done.stdout.count("    transaction ") == 3
        assert "    to   " not in done.stdout
    kept = environment(start_node(), home)
    del kept["HASHPIVOT_NODE_URL"]
    done = run_command("explain", *FIGURE, folder=home, environment=kept)
    assert done.stdout.splitlines()[-1] == NO_NODE


def test_block_that_the_node_no_longer_has_costs_the_addresses_only(home: Path, start_node: StartNode) -> None:
    node = start_node()
    node.faults.append(Fault("without undo", "getblock", times=1_000))
    done = hashpivot(node, home, "explain", *FIGURE, "--top", "1")
    assert done.returncode == 0, done.stderr
    assert "    transaction " in done.stdout


def test_figures_of_blocks_list_the_largest_blocks(home: Path, start_node: StartNode) -> None:
    done = hashpivot(start_node(), home, "explain", "miner_flow_daily", "outflow_btc", str(DAY), "--top", "2")
    assert done.returncode == 0, done.stderr
    found = explained(home, "miner_flow_daily", "outflow_btc", DAY)
    for part in found.parts[:2]:
        assert f"block {part['height']:,}, made by {part['pool']}" in done.stdout
    assert f"and {len(found.parts) - 2} more blocks of " in done.stdout
    assert "addresses" not in done.stdout
    message = json.loads(
        hashpivot(start_node(), home, "explain", "miner_flow_daily", "outflow_btc", str(DAY), "--json").stdout
    )
    assert [each["height"] for each in message["blocks"]] == [part["height"] for part in found.parts]


@pytest.mark.parametrize(
    ("table", "column", "key", "message"),
    [
        ("capitulation_daily", "price_usd", {}, "no figure made of transactions"),
        ("capitulation_daily", "mpi_zscore", {}, "explain miner_outflow_usd, which it is made of"),
        ("capitulation_daily", "miner_to_exchange_30d_btc", {}, "found no figure, expected one; see meta.nulls"),
        ("capitulation_daily", "miner_to_exchange_btc", {"pool": "antpool"}, "found --pool, expected neither"),
        ("miner_transfer", "transfer_sat", {"txid": "00"}, "found no figure"),
        ("stress_episode", "drawdown_pct", {}, "expected a table of capitulation_daily, exchange_flow_daily"),
        (
            "exchange_flow_by_exchange_daily",
            "miner_to_exchange_btc",
            {},
            "found neither --exchange nor --pool, expected --exchange",
        ),
    ],
)
def test_what_cannot_be_explained_is_refused_with_what_can(
    home: Path, table: str, column: str, key: dict[str, str], message: str
) -> None:
    with pytest.raises(TerminalError) as refused:
        explained(home, table, column, DAY, **key)
    assert message in str(refused.value)


def test_parts_narrow_the_transfers_of_a_day(home: Path) -> None:
    sql = (
        f"select exchange, pool, txid, transfer_sat from miner_transfer where day = '{DAY}' order by transfer_sat desc"
    )
    exchange, pool, txid, sat = published(home, sql)[0]
    found = explained(home, "miner_transfer", "transfer_sat", DAY, exchange=exchange, pool=pool, txid=txid)
    assert [part["transfer_sat"] for part in found.parts] == [sat]


def test_blocks_that_are_no_longer_what_was_published_are_not_taken_for_it(home: Path, tmp_path: Path) -> None:
    with pytest.raises(TerminalError, match="expected the blocks behind"):
        explain(home / "published", tmp_path / "none.duckdb", "miner_flow_daily", "outflow_btc", DAY, {})
    assert not (tmp_path / "none.duckdb").exists()
