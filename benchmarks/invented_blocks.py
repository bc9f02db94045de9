"""Blocks as a node of the main network returns them at verbosity 3, invented: the same fields, sizes and proportions.

Modelled on a real block of 2022: about 5 kB of JSON a transaction, three inputs and three outputs each. Pools pay
miners by the hundred, miners pay exchanges, everybody pays everybody; about one transaction in twenty touches a miner.
What inputs spend was never sent on this chain.
"""

from collections.abc import Iterator
from random import Random
from typing import Final

POOLS: Final = {
    "foundryusa": "/Foundry USA Pool #dropgold/",
    "antpool": "Mined by AntPool",
    "viabtc": "/ViaBTC/",
    "f2pool": "/F2Pool/",
    "marapool": "MARA Pool",
    "spiderpool": "SpiderPool",
}
MINERS: Final = 4_000
EXCHANGE_SCRIPTS: Final = 2_000
EXCHANGES: Final = ("binance", "coinbase", "kraken", "okx")
PAYOUT_OUTPUTS: Final = 150
POOL_SPENDS_A_BLOCK: Final = 4
PAYOUT_SHARE: Final = 0.6
MEAN_INPUTS: Final = 2.4
MEAN_OUTPUTS: Final = 1.9
MOST_PARTS: Final = 40
MINER_SPEND_SHARE: Final = 0.05
DEPOSIT_SHARE: Final = 0.10
FULL_BLOCK_TRANSACTIONS: Final = (2_000, 3_500)
SAME_SPENT_SHARE: Final = 0.14
"""Of the inputs spend another output of the transaction that the input before them spends, as in block 739,990."""


class World:
    """Who lives on the invented chain: scripts of pools, miners and exchanges, the same for the same seed.

    `new_miners`: pools pay scripts not seen before, every time, which then spend in place of the oldest, so
    that the 1-hop layer only grows.
    `strangers_count`: what strangers send is drawn from that many transactions, made once, so that thousands of full
    blocks are made in minutes; 0: every one is new.
    """

    def __init__(self, seed: int = 7, *, new_miners: bool = False, strangers_count: int = 0) -> None:
        self.random = Random(seed)
        self._new_miners = new_miners
        self._spent = ("", 0)
        self.pools = {name: self._script() for name in POOLS}
        self.miners = [self._script() for _ in range(MINERS)]
        self.exchanges = {self._script(): EXCHANGES[i % len(EXCHANGES)] for i in range(EXCHANGE_SCRIPTS)}
        self._deposits = list(self.exchanges)
        self._strangers = [self._sent_by(None) for _ in range(strangers_count)]

    def blocks(self, count: int, transactions: tuple[int, int] = FULL_BLOCK_TRANSACTIONS) -> Iterator[bytes]:
        """`count` blocks on top of each other from height 900,000, each with a number of transactions in the range."""
        previous = "0" * 64
        for height in range(900_000, 900_000 + count):
            block_hash = f"{height:064x}"
            self._spent = ("", 0)  # No two blocks spend from one transaction.
            txs = [self._coinbase(height), *self._spends(self.random.randint(*transactions) - 1)]
            head = (
                f'{{"hash":"{block_hash}","confirmations":7,"height":{height},"version":536870912,'
                f'"versionHex":"20000000","merkleroot":"{self._hex(32)}","time":{1_750_000_000 + 600 * height},'
                f'"mediantime":{1_750_000_000 + 600 * height - 3_000},"nonce":868906256,"bits":"170b3ce9",'
                f'"difficulty":126411437451912.2,"chainwork":"{self._hex(32)}","nTx":{len(txs)},'
                f'"previousblockhash":"{previous}","strippedsize":790000,"size":1600000,"weight":3990000,"tx":['
            )
            yield f"{head}{','.join(txs)}]}}".encode()
            previous = block_hash

    def _hex(self, length_bytes: int) -> str:
        return self.random.randbytes(length_bytes).hex()

    def _script(self) -> str:
        kind = self.random.random()
        if kind < 0.6:
            return f"0014{self._hex(20)}"
        return f"a914{self._hex(20)}87" if kind < 0.85 else f"76a914{self._hex(20)}88ac"

    def _script_pub_key(self, script: str) -> str:
        return (
            f'{{"asm":"0 {script[4:44]}","desc":"addr(bc1q{script[4:42]})#rplrrx5x","hex":"{script}",'
            f'"address":"bc1q{script[4:42]}","type":"witness_v0_keyhash"}}'
        )

    def _output(self, n: int, script: str, sat: int) -> str:
        return f'{{"value":{_btc(sat)},"n":{n},"scriptPubKey":{self._script_pub_key(script)}}}'

    def _input(self, script: str, sat: int, *, generated: bool) -> str:
        return (
            f"{{{self._outpoint()},{self._unlocking()},"
            f'"prevout":{{"generated":{"true" if generated else "false"},"height":839867,"value":{_btc(sat)},'
            f'"scriptPubKey":{self._script_pub_key(script)}}},"sequence":4294967293}}'
        )

    def _outpoint(self) -> str:
        txid, n = self._spent
        again = txid and self.random.random() < SAME_SPENT_SHARE
        self._spent = (txid, n + 1) if again else (self._hex(32), 0)
        return f'"txid":"{self._spent[0]}","vout":{self._spent[1]}'

    def _unlocking(self) -> str:
        return f'"scriptSig":{{"asm":"","hex":""}},"txinwitness":["{self._hex(72)}","{self._hex(33)}"]'

    def _transaction(self, inputs: list[str], outputs: list[str], rest: str, txid: str = "") -> str:
        raw = self._hex(200 * len(inputs) + 40 * len(outputs) + 300)
        return (
            f'{{"txid":"{txid or self._hex(32)}","hash":"{self._hex(32)}",'
            f'"version":2,"size":404,"vsize":214,"weight":854,"locktime":0,"vin":[{",".join(inputs)}],"vout":[{",".join(outputs)}]{rest},"hex":"{raw}"}}'
        )

    def _coinbase(self, height: int) -> str:
        pool = self.random.choice(list(POOLS))
        script = (b"\x03" + height.to_bytes(3, "little") + POOLS[pool].encode() + self.random.randbytes(20)).hex()
        inputs = [f'{{"coinbase":"{script}","txinwitness":["{"00" * 32}"],"sequence":4294967295}}']
        outputs = [self._output(0, self.pools[pool], 312_500_000), self._output(1, f"6a24aa21a9ed{self._hex(32)}", 0)]
        return self._transaction(inputs, outputs, "")

    def _spends(self, count: int) -> Iterator[str]:
        pool_spends = set(self.random.sample(range(count), min(POOL_SPENDS_A_BLOCK, count)))
        for i in range(count):
            yield self._pool_spend() if i in pool_spends else self._spend()

    def _pool_spend(self) -> str:
        """A payout to miners, or a deposit, with the change back to the pool; sometimes with a stranger's input."""
        random = self.random
        pool = self.pools[random.choice(list(POOLS))]
        spent = [(pool, random.randrange(10**8, 10**10), random.random() < 0.5) for _ in range(random.randint(1, 6))]
        if random.random() < 0.2:
            spent.append((self._script(), random.randrange(10**6, 10**9), False))
        if random.random() >= PAYOUT_SHARE:
            payees = random.sample(self._deposits, 2)
        elif self._new_miners:
            payees = [self._script() for _ in range(PAYOUT_OUTPUTS)]
            self.miners = [*self.miners, *payees][-MINERS:]
        else:
            payees = random.sample(self.miners, PAYOUT_OUTPUTS)
        return self._sent(spent, [*payees, pool])

    def _spend(self) -> str:
        if self.random.random() < MINER_SPEND_SHARE:
            return self._sent_by(self.random.choices(self.miners, k=self.random.randint(1, 5)))
        return self.random.choice(self._strangers) if self._strangers else self._sent_by(None)

    def _sent_by(self, senders: list[str] | None) -> str:
        """A transaction of these miners to an exchange, or of strangers (None), of whom one in ten does the same."""
        random = self.random
        count = _many(random, MEAN_INPUTS)
        spent = [(s, random.randrange(10**4, 10**9), False) for s in senders or [self._script() for _ in range(count)]]
        payees = [self._script() for _ in range(_many(random, MEAN_OUTPUTS))]
        if senders or random.random() < DEPOSIT_SHARE:
            payees[0] = random.choice(self._deposits)
        return self._sent(spent, payees)

    def _sent(self, spent: list[tuple[str, int, bool]], payees: list[str]) -> str:
        total = sum(sat for _, sat, _ in spent)
        fee = min(5_000, total // 10)
        part, rest = divmod(total - fee, len(payees))
        outputs = [self._output(n, script, part + (rest if n == 0 else 0)) for n, script in enumerate(payees)]
        inputs = [self._input(script, sat, generated=generated) for script, sat, generated in spent]
        return self._transaction(inputs, outputs, f',"fee":{_btc(fee)}')


def _many(random: Random, mean: float) -> int:
    return min(int(random.expovariate(1 / mean)) + 1, MOST_PARTS)


def _btc(sat: int) -> str:
    return f"{sat // 10**8}.{sat % 10**8:08d}"
