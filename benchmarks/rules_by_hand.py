"""The rules of attribution once more, slow and obvious: fractions, a dictionary a thing, every transaction in full."""

from fractions import Fraction
from math import floor
from typing import Any

TWO_YEARS_BLOCKS = 105_120
TOO_MANY_PARTNERS = 1_000


def sat(amount: Any) -> int:
    """Satoshi of an amount of bitcoin, as text or number."""
    exact = Fraction(str(amount)) * 100_000_000
    assert exact.denominator == 1
    return int(exact)


class ByHand:
    """Walks the chain; `rows` are the transfers as tuples, `blocks` the sums of each block as dictionaries."""

    def __init__(self, exchanges: dict[str, str], pool_of_block: dict[int, str]) -> None:
        self.exchanges, self.pool_of_block = exchanges, pool_of_block
        self.coinbase_pool: dict[str, str] = {}
        self.credited: dict[str, tuple[int, str]] = {}
        self.partners: dict[str, set[str]] = {}
        self.hubs: set[str] = set()
        self.rows: list[tuple[Any, ...]] = []
        self.blocks: list[dict[str, Any]] = []

    def layer(self, script: str, height: int) -> int | None:
        """0 or 1 for a script that is a miner's at `height`, None for any other."""
        if script in self.exchanges:
            return None
        if script in self.coinbase_pool:
            return 0
        if script in self.credited and height - self.credited[script][0] < TWO_YEARS_BLOCKS:
            return 1
        return None

    def pool(self, script: str) -> str:
        """The pool that paid a miner's script last."""
        return self.coinbase_pool[script] if script in self.coinbase_pool else self.credited[script][1]

    def walk(self, block: dict[str, Any]) -> None:
        """Take one block, amounts as texts."""
        height = block["height"]
        coinbase, *others = block["tx"]
        pool = self.pool_of_block[height]
        outputs = [(output["scriptPubKey"]["hex"], sat(output["value"])) for output in coinbase["vout"]]
        for script, value in outputs:
            if value > 0 and not script.startswith("6a") and (pool != "unknown" or script not in self.coinbase_pool):
                self.coinbase_pool[script] = pool
        sums = {
            "out": 0,
            "outflows": [],
            "in": sum(value for script, value in outputs if self.layer(script, height) == 0),
            "fee": 0,
            "out1": 0,
            "direct": sum(value for script, value in outputs if script in self.exchanges),
        }
        for tx in others:
            self.spend(block, tx, sums)
        sums["outflows"] = sorted(sums["outflows"], reverse=True)
        self.blocks.append(sums)

    def spend(self, block: dict[str, Any], tx: dict[str, Any], sums: dict[str, Any]) -> None:
        """Take one transaction into the rows and into the sums of its block."""
        height = block["height"]
        ins = [
            (i["prevout"]["scriptPubKey"]["hex"], sat(i["prevout"]["value"]), i["prevout"]["generated"])
            for i in tx["vin"]
        ]
        outs = [(o["scriptPubKey"]["hex"], sat(o["value"])) for o in tx["vout"]]
        total = sum(value for _, value, _ in ins)
        layers = {script: self.layer(script, height) for script, *_ in ins + outs}

        def share(hop: int, *, only_fresh: bool = False) -> Fraction:
            part = sum(v for s, v, generated in ins if layers[s] == hop and (generated or not only_fresh))
            return Fraction(part, total) if total else Fraction(0)

        to_miners = sum(value for script, value in outs if layers[script] == 0)
        to_layers = sum(value for script, value in outs if layers[script] is not None)
        to_all = sum(value for _, value in outs)
        out, into = floor(share(0) * (to_all - to_miners)), floor((1 - share(0)) * to_miners)
        if total == 0:
            into = to_miners
        balance_change = to_miners - sum(value for script, value, _ in ins if layers[script] == 0)
        fee = into - out - balance_change
        assert abs(fee - share(0) * (total - to_all)) < 1
        assert 0 <= fee <= max(total - to_all, 0)
        sums["out"] += out
        sums["outflows"] += [out] if out else []
        sums["in"] += into
        sums["fee"] += fee
        sums["out1"] += floor(share(1) * (to_all - to_layers))

        for exchange in dict.fromkeys(self.exchanges[s] for s, _ in outs if s in self.exchanges):
            for hop in (0, 1):
                paid = [value for script, value in outs if self.exchanges.get(script) == exchange]
                sent = sum(floor(value * share(hop)) for value in paid)
                if sent:
                    fresh = sum(floor(value * share(0, only_fresh=True)) for value in paid) if hop == 0 else 0
                    grade = "A" if share(hop) == 1 else "B"
                    if Fraction("0.05") < share(hop) < Fraction("0.95"):
                        grade = "C"
                    miner_input = int(share(hop) * total)
                    whose = self.sender(ins, layers, hop)
                    row = (
                        height,
                        block["hash"],
                        tx["txid"],
                        exchange,
                        whose,
                        hop,
                        sent,
                        fresh,
                        miner_input,
                        total,
                        grade,
                    )
                    self.rows.append(row)
        self.meet(ins, outs)
        if any(layers[script] == 0 for script, *_ in ins):
            for script, _ in outs:
                excluded = layers[script] == 0 or script in self.exchanges or script in self.hubs
                if not excluded and not script.startswith("6a"):
                    self.credited[script] = (height, self.sender(ins, layers, 0))

    def sender(self, ins: list[tuple[str, int, bool]], layers: dict[str, int | None], hop: int) -> str:
        """The pool that put in the most, the first of equals."""
        put_in: dict[str, int] = {}
        for script, value, _ in ins:
            if layers[script] == hop:
                put_in[self.pool(script)] = put_in.get(self.pool(script), 0) + value
        most = max(put_in.values())
        return next(pool for pool, value in put_in.items() if value == most)

    def meet(self, ins: list[tuple[str, int, bool]], outs: list[tuple[str, int]]) -> None:
        """Remember who dealt with whom, and put out who deals with too many."""
        payers, payees = {script for script, *_ in ins}, {script for script, _ in outs}
        for own, others in ((payers, payees), (payees, payers)):
            for script in own:
                if script in self.credited:
                    partners = self.partners.setdefault(script, set())
                    partners |= others - {script}
                    if len(partners) >= TOO_MANY_PARTNERS:
                        self.hubs.add(script)
                        del self.credited[script]
