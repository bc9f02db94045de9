"""Blocks reduced to what could count under any labels, from which they are attributed with others.

Attribution reads of a block only the transactions that touch a script of either layer. Every script that is in a layer
under some labels is watched, whatever labels the block was first read with (`transforms.attribution.blocks`), so that
a block without the other transactions gives the same flows and the same miner set. Of those that touch one:

- Inputs of other scripts count by their sum, and as counterparties by the sampled scripts alone.
- A transaction that spends from no watched script can be but a receipt: of its outputs the watched ones are enough,
  and where they are all 1-hop, it matters only to the counterparties.
- The coinbase counts by what it pays, and by the name of its pool.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final
from zlib import crc32

import polars as pl

from schemas.candidate_block import CANDIDATE_BLOCK
from schemas.miner_set import MinerSet
from schemas.node_block import Input, NodeBlock, Output, Prevout, Script, Transaction, amount_of, satoshi
from transforms.attribution.blocks import COUNTERPARTY_SAMPLE, OP_RETURN

OTHERS: Final = f"{OP_RETURN}00"
"""Stands for scripts that are in no layer and have no label; its own CRC-32 is not sampled."""
TYPES: Final = {name: column.dtype.type for name, column in CANDIDATE_BLOCK.columns.items()}
_GENERATED: Final = {True: 1, False: 0, None: -1}
_WAS_GENERATED: Final = {code: generated for generated, code in _GENERATED.items()}


class _Row:
    """The columns of one block, as lists."""

    __slots__ = ("generated", "inputs", "inputs_sat", "outputs", "outputs_sat", "scripts", "txids", "vin", "vout")

    def __init__(self) -> None:
        self.scripts: list[str] = []
        self.txids: list[str] = []
        self.vin: list[int] = []
        self.vout: list[int] = []
        self.inputs: list[int] = []
        self.inputs_sat: list[int] = []
        self.generated: list[int] = []
        self.outputs: list[int] = []
        self.outputs_sat: list[int] = []


class Candidates:
    """Reduces blocks while they are attributed. Scripts are numbered through one file; `new_file` begins another."""

    def __init__(self) -> None:
        self._number_of: dict[str, int] = {}
        self._blocks: list[tuple[int, str, int, str, _Row]] = []
        self._row = _Row()

    def start_block(self, block: NodeBlock, pool: str) -> None:
        """Begin with the coinbase of `block`, which `pool` made."""
        row = self._row = _Row()
        self._blocks.append((block.height, block.hash, block.time, pool, row))
        coinbase = block.tx[0]
        paid = [
            (output.script.hex, sat)
            for output in coinbase.vout
            if not output.script.hex.startswith(OP_RETURN) and (sat := satoshi(output.value))
        ]
        self._put(row, coinbase.txid, [], paid)

    def add(self, tx: Transaction, scripts: Sequence[str], paid: Sequence[str], miners: MinerSet) -> None:
        """Keep what counts of `tx`, which spends `scripts` and pays `paid`; `miners` is the state before it."""
        watched = miners.watched
        if watched.isdisjoint(scripts):
            sampled = [(script, 0, 0) for script in scripts if not crc32(script.encode()) % COUNTERPARTY_SAMPLE]
            if not sampled and miners.zero_hop.index.keys().isdisjoint(paid):
                return
            received = [
                (script, satoshi(output.value))
                for output, script in zip(tx.vout, paid, strict=True)
                if script in watched
            ]
            self._put(self._row, "", sampled, received)
            return
        spent, others_sat = [], 0
        for spend, script in zip(tx.vin, scripts, strict=True):
            if spend.prevout is None:
                continue
            sat = satoshi(spend.prevout.value)
            if script in watched or not crc32(script.encode()) % COUNTERPARTY_SAMPLE:
                spent.append((script, sat, _GENERATED[spend.prevout.generated]))
            else:
                others_sat += sat
        if others_sat:
            spent.append((OTHERS, others_sat, 0))
        sent, unspendable_sat = [], 0
        for output, script in zip(tx.vout, paid, strict=True):
            sat = satoshi(output.value)
            if script.startswith(OP_RETURN) and crc32(script.encode()) % COUNTERPARTY_SAMPLE:
                unspendable_sat += sat
            else:
                sent.append((script, sat))
        if unspendable_sat:
            sent.append((OTHERS, unspendable_sat))
        self._put(self._row, tx.txid, spent, sent)

    def take(self) -> pl.DataFrame:
        """The blocks since the last time, in the shape of `CANDIDATE_BLOCK`."""
        rows = [row for *_, row in self._blocks]
        heads = {
            "height": [height for height, *_ in self._blocks],
            "block_hash": [bytes.fromhex(block_hash) for _, block_hash, *_ in self._blocks],
            "time": [time for _, _, time, *_ in self._blocks],
            "pool": [pool for _, _, _, pool, _ in self._blocks],
            "new_scripts": [[bytes.fromhex(script) for script in row.scripts] for row in rows],
            "txid": [[bytes.fromhex(txid) for txid in row.txids] for row in rows],
            "input_count": [row.vin for row in rows],
            "output_count": [row.vout for row in rows],
            "input_script": [row.inputs for row in rows],
            "input_sat": [row.inputs_sat for row in rows],
            "input_generated": [row.generated for row in rows],
            "output_script": [row.outputs for row in rows],
            "output_sat": [row.outputs_sat for row in rows],
        }
        self._blocks = []
        return pl.DataFrame(heads, schema=TYPES)

    def new_file(self) -> None:
        """Number scripts anew, for blocks after those of the last `take`."""
        self._number_of = {}

    def _put(
        self, row: _Row, txid: str, spent: Sequence[tuple[str, int, int]], paid: Sequence[tuple[str, int]]
    ) -> None:
        number_of, scripts = self._number_of, row.scripts
        row.txids.append(txid)
        row.vin.append(len(spent))
        row.vout.append(len(paid))
        for column, coins in ((row.inputs, spent), (row.outputs, paid)):
            for coin in coins:
                script = coin[0]
                number = number_of.get(script)
                if number is None:
                    number = number_of[script] = len(number_of)
                    scripts.append(script)
                column.append(number)
        row.inputs_sat += [sat for _, sat, _ in spent]
        row.generated += [generated for *_, generated in spent]
        row.outputs_sat += [sat for _, sat in paid]


class KeptPools:
    """Names pools as they were named when their blocks were read: other labels are no other list of pools."""

    def __init__(self) -> None:
        self._pool_of: dict[str, str] = {}

    def note(self, coinbase_txid: str, pool: str) -> None:
        """Remember the pool of one block, the next that is attributed."""
        self._pool_of = {coinbase_txid: pool}

    def pool(self, coinbase: Transaction) -> str:
        """The pool of the block with this coinbase."""
        return self._pool_of[coinbase.txid]


def reduced_blocks(rows: pl.DataFrame, previous_hash: str | None, pools: KeptPools) -> Iterator[NodeBlock]:
    """The blocks of one file; each is noted in `pools` when it is yielded. `previous_hash`: of the block before them.

    Raises `ValueError` where the numbers do not fit together.
    """
    scripts: list[Script] = []
    for row in rows.iter_rows(named=True):
        scripts += [Script(script.hex()) for script in row["new_scripts"]]
        block = NodeBlock(
            hash=row["block_hash"].hex(),
            height=row["height"],
            time=row["time"],
            mediantime=row["time"],
            difficulty=0.0,
            tx=list(_transactions(row, scripts)),
            previous_hash=previous_hash,
        )
        previous_hash = block.hash
        pools.note(block.tx[0].txid, row["pool"])
        yield block


def renumbered(parts: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """The blocks of several files as those of one."""
    number_of: dict[bytes, int] = {}
    joined: list[dict[str, Any]] = []
    for part in parts:
        numbers: list[int] = []
        for row in part.iter_rows(named=True):
            new = []
            for script in row["new_scripts"]:
                number = number_of.get(script)
                if number is None:
                    number = number_of[script] = len(number_of)
                    new.append(script)
                numbers.append(number)
            row["new_scripts"] = new
            for column in ("input_script", "output_script"):
                row[column] = [numbers[number] for number in row[column]]
            joined.append(row)
    return pl.DataFrame(joined, schema=TYPES)


def _transactions(row: Mapping[str, Any], scripts: Sequence[Script]) -> Iterator[Transaction]:
    spent = zip(row["input_script"], row["input_sat"], row["input_generated"], strict=True)
    paid = zip(row["output_script"], row["output_sat"], strict=True)
    for number, (txid, input_count, output_count) in enumerate(
        zip(row["txid"], row["input_count"], row["output_count"], strict=True)
    ):
        inputs = [
            Input(prevout=Prevout(value=amount_of(sat), script=scripts[script], generated=_WAS_GENERATED[code]))
            for script, sat, code in islice(spent, input_count)
        ]
        outputs = [Output(value=amount_of(sat), script=scripts[script]) for script, sat in islice(paid, output_count)]
        if number == 0:
            inputs = [Input(coinbase="")]
        yield Transaction(txid=txid.hex(), vin=tuple(inputs), vout=tuple(outputs))
