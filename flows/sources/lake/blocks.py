"""Blocks in the shape that attribution reads, from rows of the lake; each transaction is made when it is read."""

from collections.abc import Iterator, Mapping
from itertools import accumulate
from typing import Any

import polars as pl

from flows.sources.lake.rows import Coins
from flows.sources.whole_blocks import BlockTransactions
from schemas.node_block import BlockScripts, Input, NodeBlock, Output, Prevout, Script, Transaction, amount_of


class BlockCoins:
    """Transactions of several blocks, and what they spend and pay. Raises `ValueError` for an impossible amount."""

    def __init__(self, rows: pl.DataFrame) -> None:
        self._inputs, self._outputs = Coins(rows["inputs"]), Coins(rows["outputs"])
        self._rows = rows.select("block_hash", "index", "txid", "is_coinbase")
        first = pl.col("block_hash") != pl.col("block_hash").shift()
        starts = rows.select(first.fill_null(True).arg_true()).to_series().to_list()
        ends = [*starts[1:], rows.height]
        self._span_of = {
            block_hash: span
            for block_hash, span in zip(rows["block_hash"].gather(starts), zip(starts, ends, strict=True), strict=True)
        }

    def block(self, header: Mapping[str, Any]) -> NodeBlock:
        """The block with this header, with its fees.

        Raises `ValueError` where its transactions are not there, not all or more of them, or their sums are impossible.
        """
        first, last = self._span_of.get(header["hash"], (0, 0))
        rows = self._rows.slice(first, last - first)
        expected = header["transactions_count"]
        if rows.height != expected or rows["index"].to_list() != list(range(rows.height)):
            raise ValueError(f"{rows.height:,} transactions, expected {expected:,}")
        if rows["is_coinbase"].fill_null(False).arg_true().to_list() != [0]:
            raise ValueError("a coinbase that is missing or not the first transaction")
        txids = rows["txid"].to_list()
        if None in txids:
            raise ValueError("transactions without an id")
        spent, paid = self._inputs.span(first, last), self._outputs.span(first, last)
        after_coinbase = self._outputs.span(first + 1, last)
        fees_sat = int(self._inputs.sat[spent].sum()) - int(self._outputs.sat[after_coinbase].sum())
        if self._inputs.counts[first] or fees_sat < 0:
            raise ValueError(f"inputs of a coinbase or fees of {fees_sat:,} satoshi")
        inputs_counts, outputs_counts = (
            self._inputs.counts[first:last].tolist(),
            self._outputs.counts[first:last].tolist(),
        )
        spent_scripts, paid_scripts = self._inputs.scripts[spent], self._outputs.scripts[paid]
        return NodeBlock(
            hash=header["hash"],
            height=header["height"],
            time=header["time"],
            mediantime=header["mediantime"],
            difficulty=header["difficulty"],
            tx=LakeTransactions(
                header["coinbase_script"] or "",
                txids,
                (inputs_counts, spent_scripts, self._inputs.sat[spent].tolist()),
                (outputs_counts, paid_scripts, self._outputs.sat[paid].tolist()),
            ),
            previous_hash=header["previous_hash"] if header["height"] else None,
            scripts=BlockScripts(
                spent_scripts, inputs_counts[1:], paid_scripts[outputs_counts[0] :], outputs_counts[1:]
            ),
            fees_sat=fees_sat,
        )


Side = tuple[list[int], list[str], list[int]]
"""Of all transactions of a block how many inputs or outputs each has, their scripts and their satoshi."""


class LakeTransactions(BlockTransactions):
    """The transactions of a block of the lake, out of columns of scripts and satoshi."""

    __slots__ = ("_coinbase_script", "_inputs", "_inputs_ends", "_outputs", "_outputs_ends", "_txids")

    def __init__(self, coinbase_script: str, txids: list[str], inputs: Side, outputs: Side) -> None:
        self._coinbase_script, self._txids = coinbase_script, txids
        self._inputs, self._outputs = inputs, outputs
        self._inputs_ends, self._outputs_ends = list(accumulate(inputs[0])), list(accumulate(outputs[0]))

    def __len__(self) -> int:
        return len(self._txids)

    def _transaction(self, number: int) -> Transaction:
        # What is spent of coinbase outputs is not known: the transactions that inputs spend are two thirds of a file.
        inputs = tuple(
            Input(prevout=Prevout(amount_of(sat), Script(script), None))
            for script, sat in _of(self._inputs, self._inputs_ends, number)
        )
        outputs = tuple(
            Output(amount_of(sat), Script(script)) for script, sat in _of(self._outputs, self._outputs_ends, number)
        )
        if number == 0:
            inputs = (Input(coinbase=self._coinbase_script),)
        return Transaction(txid=self._txids[number], vin=inputs, vout=outputs)


def _of(side: Side, ends: list[int], number: int) -> Iterator[tuple[str, int]]:
    counts, scripts, amounts_sat = side
    span = slice(ends[number] - counts[number], ends[number])
    return zip(scripts[span], amounts_sat[span], strict=True)
