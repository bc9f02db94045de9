"""The real node of the tests does what the scenarios of other tests build on."""

from collections.abc import Callable

import pytest

from tests.node.bitcoind import Bitcoind, RefusedError, spending

StartBitcoind = Callable[..., Bitcoind]
START = 1_767_225_600
"""2026-01-01 00:00 UTC."""


def test_a_chain_is_mined_spent_on_reorganised_and_kept_over_a_restart(start_bitcoind: StartBitcoind) -> None:
    node = start_bitcoind("-rest=1", clock=START)
    wallet = node.wallet()
    wallet.mine(101, minutes_apart=10)
    txid = wallet.send({wallet.address("legacy"): 1, wallet.address("bech32m"): 2})
    (newest,) = node.mine(1, minutes_apart=10)
    assert txid in node.call("getblock", newest)["tx"]
    times = [node.call("getblockheader", node.hash(height))["time"] for height in (2, 3, 102)]
    assert [times[1] - times[0], times[2] - times[1]] == [600, 99 * 600]

    (coinbase,) = node.call("getblock", node.mine(1)[0])["tx"]
    node.mine(100)
    spend = spending(coinbase, [("51", 1_000)])
    spent = node.call("generateblock", "raw(51)#8lvh9jxk", [spend])["hash"]
    assert len(node.call("getblock", spent)["tx"]) == 2

    node.invalidate(150)
    assert node.height == 149
    before = node.hash(149)
    node.restart("-rest=0")
    assert (node.height, node.hash(149), node.get("/rest/chaininfo.json").status) == (149, before, 404)
    assert wallet.call("getwalletinfo")["walletname"] == "miner"
    with pytest.raises(RefusedError, match="-8 Block height out of range"):
        node.hash(150)
