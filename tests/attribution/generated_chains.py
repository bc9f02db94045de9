"""Strategies: small chains with every special case of the rules."""

from typing import Any

from hypothesis import strategies as st

POOL_TAGS = {"antpool": "/AntPool/", "f2pool": "/F2Pool/", "unknown": "no tag at all"}
SCRIPTS = [f"0014{i:040x}" for i in range(1, 13)] + ["6a24aa21a9ed" + "00" * 32]
EXCHANGES = {SCRIPTS[0]: "binance", SCRIPTS[1]: "binance", SCRIPTS[2]: "kraken"}

_script = st.sampled_from(SCRIPTS)
_value = st.one_of(st.integers(0, 50), st.integers(0, 10**12))


def btc(sat: int) -> str:
    return f"{sat // 10**8}.{sat % 10**8:08d}"


def _output(script: str, sat: int) -> dict[str, Any]:
    return {"value": btc(sat), "scriptPubKey": {"hex": script}}


@st.composite
def _transaction(draw: st.DrawFn, txid: str) -> dict[str, Any]:
    ins = draw(st.lists(st.tuples(_script, _value, st.booleans()), min_size=1, max_size=4))
    weights = draw(st.lists(st.tuples(_script, st.integers(0, 10**6)), min_size=1, max_size=4))
    fee_weight = draw(st.integers(0, 10**5))
    total, weight = sum(value for _, value, _ in ins), fee_weight + sum(w for _, w in weights) or 1
    return {
        "txid": txid,
        "vin": [
            {"prevout": {"generated": generated, "height": 0, "value": btc(value), "scriptPubKey": {"hex": script}}}
            for script, value, generated in ins
        ],
        "vout": [_output(script, total * w // weight) for script, w in weights],
    }


@st.composite
def chains(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Blocks in the shape of `getblock` 3, amounts as text; the pool of each stands in its coinbase script."""
    blocks = []
    for height in range(draw(st.integers(1, 12))):
        pool = draw(st.sampled_from(sorted(POOL_TAGS)))
        paid = draw(st.lists(st.tuples(_script, st.integers(0, 5 * 10**9)), min_size=1, max_size=3))
        coinbase = {
            "txid": f"{height:062x}ff",
            "vin": [{"coinbase": POOL_TAGS[pool].encode().hex()}],
            "vout": [_output(script, value) for script, value in paid],
        }
        others = [draw(_transaction(f"{height:062x}{i:02x}")) for i in range(draw(st.integers(0, 5)))]
        block = {
            "hash": f"{height + 1:064x}",
            "height": height,
            "time": 1_700_000_000 + height,
            "mediantime": 1_700_000_000 + height,
            "difficulty": 1.0,
            "tx": [coinbase, *others],
        }
        blocks.append(block | ({"previousblockhash": f"{height:064x}"} if height else {}))
    return blocks
