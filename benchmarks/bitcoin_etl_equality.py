"""Whether bitcoin-etl's enriched transactions agree with our blocks: values spent, values paid, fees.

Run as `python -m benchmarks.bitcoin_etl_equality PORT FIRST LAST FILE` by `bitcoin_etl.py`, which explains the rest.
Prints the count of inputs that were compared; ends with 1 and the transaction at the first difference.
"""

import json
import sys
from pathlib import Path

from benchmarks.node_extraction import walk_to
from schemas.node_block import satoshi


def main() -> None:
    """Compare every transaction."""
    port, first, last = map(int, sys.argv[1:4])
    theirs = {}
    with Path(sys.argv[4]).open() as lines:
        for line in lines:
            tx = json.loads(line)
            spent, paid = ([part["value"] for part in tx[parts]] for parts in ("inputs", "outputs"))
            theirs[tx["hash"]] = (tx["block_number"], spent, paid, tx["fee"])
    inputs = 0
    for block in walk_to(port).blocks(first, last, coinbase_txids=frozenset()):
        for number, tx in enumerate(block.tx):
            spent = [satoshi(each.prevout.value) for each in tx.vin if each.prevout is not None]
            paid = [satoshi(output.value) for output in tx.vout]
            ours = (block.height, spent, paid, satoshi(tx.fee) if number else 0)
            inputs += len(spent)
            if (found := theirs.pop(tx.txid, None)) != ours:
                sys.exit(f"block {block.height}, transaction {tx.txid}: bitcoin-etl has {found}, ours {ours}")
    if theirs or not inputs:
        sys.exit(f"bitcoin-etl has {len(theirs)} transactions that we have not; {inputs} inputs compared")
    print(inputs)


if __name__ == "__main__":
    main()
