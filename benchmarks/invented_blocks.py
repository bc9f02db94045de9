"""Blocks as a node of the main network tells them at verbosity 3, invented: the same fields, sizes and proportions.

Modelled on a real block of 2022: about 5 kB of JSON a transaction, three inputs and three outputs each. Pools pay
miners by the hundred, miners pay exchanges, everybody pays everybody; about one transaction in twenty touches a miner.
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
MINER_SPEND_SHARE: Final = 0.05
DEPOSIT_SHARE: Final = 0.10
FULL_BLOCK_TRANSACTIONS: Final = (2_000, 3_500)


class World:
    """Who lives on the invented chain: scripts of pools, miners and exchanges, the same for the same seed."""

    def __init__(self, seed: int = 7) -> None:
        self.random = Random(seed)
        self.pools = {name: self._script() for name in POOLS}
        self.miners = [self._script() for _ in range(MINERS)]
        self.exchanges = {self._script(): EXCHANGES[i % len(EXCHANGES)] for i in range(EXCHANGE_SCRIPTS)}
        self._deposits = list(self.exchanges)

    def blocks(self, count: int, transactions: tuple[int, int] = FULL_BLOCK_TRANSACTIONS) -> Iterator[bytes]:
        """`count` blocks on top of each other from height 900,000, each with a number of transactions in the range."""
        previous = "0" * 64
        for height in range(900_000, 900_000 + count):
            block_hash = f"{height:064x}"
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
            f'{{"txid":"{self._hex(32)}","vout":1,"scriptSig":{{"asm":"","hex":""}},'
            f'"txinwitness":["{self._hex(72)}","{self._hex(33)}"],'
            f'"prevout":{{"generated":{"true" if generated else "false"},"height":839867,"value":{_btc(sat)},'
            f'"scriptPubKey":{self._script_pub_key(script)}}},"sequence":4294967293}}'
        )

    def _transaction(self, inputs: list[str], outputs: list[str], fee: str) -> str:
        raw = self._hex(200 * len(inputs) + 40 * len(outputs) + 300)
        return (
            f'{{"txid":"{self._hex(32)}","hash":"{self._hex(32)}","version":2,"size":404,"vsize":214,"weight":854,'
            f'"locktime":0,"vin":[{",".join(inputs)}],"vout":[{",".join(outputs)}]{fee},"hex":"{raw}"}}'
        )

    def _coinbase(self, height: int) -> str:
        pool = self.random.choice(list(POOLS))
        script = (b"\x03" + height.to_bytes(3, "little") + POOLS[pool].encode() + self.random.randbytes(20)).hex()
        inputs = [f'{{"coinbase":"{script}","txinwitness":["{"00" * 32}"],"sequence":4294967295}}']
        outputs = [self._output(0, self.pools[pool], 315_000_000), self._output(1, f"6a24aa21a9ed{self._hex(32)}", 0)]
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
        payees = (
            random.sample(self.miners, PAYOUT_OUTPUTS) if random.random() < 0.6 else random.sample(self._deposits, 2)
        )
        return self._sent(spent, [*payees, pool])

    def _spend(self) -> str:
        random = self.random
        kind = random.random()
        is_miner = kind < MINER_SPEND_SHARE
        senders = random.choices(self.miners, k=random.randint(1, 5)) if is_miner else None
        count = min(int(random.expovariate(1 / 2.4)) + 1, 40)
        spent = [(s, random.randrange(10**4, 10**9), False) for s in senders or [self._script() for _ in range(count)]]
        payees = [self._script() for _ in range(min(int(random.expovariate(1 / 1.9)) + 1, 40))]
        if is_miner or kind < MINER_SPEND_SHARE + DEPOSIT_SHARE:
            payees[0] = random.choice(self._deposits)
        return self._sent(spent, payees)

    def _sent(self, spent: list[tuple[str, int, bool]], payees: list[str]) -> str:
        total = sum(sat for _, sat, _ in spent)
        fee = min(5_000, total // 10)
        part, rest = divmod(total - fee, len(payees))
        outputs = [self._output(n, script, part + (rest if n == 0 else 0)) for n, script in enumerate(payees)]
        inputs = [self._input(script, sat, generated=generated) for script, sat, generated in spent]
        return self._transaction(inputs, outputs, f',"fee":{_btc(fee)}')


def _btc(sat: int) -> str:
    return f"{sat // 10**8}.{sat % 10**8:08d}"
