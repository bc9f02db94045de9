"""Who sent what to which exchange: the coins of miners through the transactions of one block, in whole satoshi.

Rules (the letters stand for the sums of one transaction):

- A script is a miner's, 0-hop, from the block on in which a coinbase first pays it, that block's later transactions
  included: the coinbase is the first of them. Scripts are compared, not addresses: P2PK and P2PKH of one key are two.
  Outputs of zero or behind OP_RETURN count for no script.
- An exchange label takes precedence. What a coinbase pays to an exchange is `coinbase_direct_to_exchange_sat` and
nothing else. - share = miner inputs / all inputs. Outflow is share x outputs to anybody but miners, inflow (1 - share)
x outputs to
  miners, both rounded down. The miners' part of the fee takes the rounding, so that inflow - outflow - fee is exactly
  what the balance of the miners' scripts changed by; it lies within one satoshi of share x fee.
- An exchange's part is output x miner inputs / all inputs, rounded down for each output; what rounding drops stays
  unattributed.
- 1-hop is a layer of its own: a script is in it from the transaction on in which any 0-hop input pays it, for
  `ONE_HOP_MEMORY_BLOCKS` after the newest such payment, unless it is 0-hop, an exchange's, or a hub. A transaction
  with inputs of both layers has a transfer in each, and neither counts the other's inputs.
- A script is a hub, and no miner for good, at about 1,000 counterparties: who it pays and who pays it, once it is in
  the layer. Only counterparties whose CRC-32 is a multiple of 16 are remembered, so that the state stays small whatever
  the script does; the limit is therefore counterparties at 1,000 give or take 13 % (one standard deviation).
- Labels only take scripts out of the 1-hop layer, or make them enter it later. A script that they keep out is latent:
  with other labels it would be in the layer, so that the transactions it takes part in are kept for attribution with
  those. It stops being latent with the layer's memory, or once it has met as many counterparties as a hub since the
  newest payment from any 0-hop script: under whatever labels it was in the layer by then, and would be a hub.
- A transfer names the pool that put in the most satoshi, the first of equals: the pool that paid the script last.
"""

from collections.abc import Iterable, KeysView, Mapping, Sequence
from typing import Final, Literal, NamedTuple, Protocol
from zlib import crc32

from schemas.errors import BadInputError
from schemas.miner_set import Credit, MinerSet
from schemas.node_block import BlockScripts, Input, NodeBlock, Transaction, satoshi

ONE_HOP_MEMORY_BLOCKS: Final = 105_120
"""Two years of blocks, the span after which a script counts as inactive; it bounds the layer."""
HUB_COUNTERPARTIES: Final = 1_000
COUNTERPARTY_SAMPLE: Final = 16
HUB_SAMPLED_COUNTERPARTIES: Final = -(-HUB_COUNTERPARTIES // COUNTERPARTY_SAMPLE)
PURGE_EVERY_BLOCKS: Final = 1_008
LARGEST_COUNT: Final = 10
CO_SPEND_PARTS: Final = 20
"""Between 1/20 and 19/20 of miners' inputs in a transaction mean that others spend with them."""
OP_RETURN: Final = "6a"

Quality = Literal["A", "B", "C"]


class NamesPools(Protocol):
    """Names the pool that made a block."""

    def pool(self, coinbase: Transaction) -> str:
        """Its name, by the coinbase transaction."""
        ...


class Keeper(Protocol):
    """Keeps what of a block could count under any labels."""

    def start_block(self, block: NodeBlock, pool: str) -> None:
        """Begin with the coinbase of `block`, which `pool` made."""
        ...

    def add(self, tx: Transaction, scripts: Sequence[str], paid: Sequence[str], miners: MinerSet) -> None:
        """Keep `tx`, which spends `scripts` and pays `paid`, some of them watched in `miners`, the state before it."""
        ...


class Transfer(NamedTuple):
    """What one transaction carried from the miners of one layer to one exchange.

    `fresh_sat` is the part that came directly from coinbase outputs, None where the block does not state it.
    `miner_input_sat` and `total_input_sat` give the share. `hop` is 0 or 1.
    """

    height: int
    block_hash: str
    txid: str
    exchange: str
    pool: str
    hop: int
    transfer_sat: int
    fresh_sat: int | None
    miner_input_sat: int
    total_input_sat: int
    quality: Quality


class BlockFlows(NamedTuple):
    """What one block moved to and from miners' scripts.

    `largest_outflows_sat`: up to ten, descending, one a transaction. `one_hop_outflow_sat`: from the 1-hop layer to
    scripts in neither layer.
    """

    height: int
    block_hash: str
    pool: str
    outflow_sat: int
    outflow_tx_count: int
    largest_outflows_sat: tuple[int, ...]
    inflow_sat: int
    fee_sat: int
    one_hop_outflow_sat: int
    coinbase_direct_to_exchange_sat: int
    transfers: tuple[Transfer, ...]


def quality(miner_input_sat: int, total_input_sat: int) -> Quality:
    """Confidence that a transfer is the miners' own: A all inputs are theirs, C 5 to 95 % are, B the rest.

    B is nearly all or nearly none: the sum is nearly right, but the sender is uncertain.
    """
    if miner_input_sat == total_input_sat:
        return "A"
    parts = CO_SPEND_PARTS * miner_input_sat
    return "C" if total_input_sat < parts < (CO_SPEND_PARTS - 1) * total_input_sat else "B"


def paid_scripts(coinbase: Transaction) -> list[str]:
    """The scripts that become miners' by a coinbase that pays them. Raises `ValueError` for an invalid amount."""
    return [
        output.script.hex
        for output in coinbase.vout
        if not output.script.hex.startswith(OP_RETURN) and satoshi(output.value)
    ]


def record_coinbase(miners: MinerSet, height: int, txid: str, scripts: Iterable[str], pool: str) -> None:
    """Add what the coinbase `txid` of block `height` pays, its `paid_scripts`. Enough for a set of old blocks.

    Labels play no part, so that the set depends on the chain only: exchange labels are applied where it is read.
    """
    miners.coinbase_txids.add(bytes.fromhex(txid)[::-1])
    for script in scripts:
        miners.zero_hop.pay(script, height, pool)


def attribute(
    block: NodeBlock,
    miners: MinerSet,
    exchanges: Mapping[str, str],
    pools: NamesPools,
    keeper: Keeper | None = None,
) -> BlockFlows:
    """The flows of `block`; `miners`, the state after the block before it, becomes the state after it.

    `exchanges`: script in hexadecimal to exchange, as labelled on the day of the block. `keeper` gets every
    transaction that could count under other labels. Raises `BadInputError` for a
    block that is not the next one or that comes without prevouts, before anything changes; after a `ValueError` for an
    invalid amount, `miners` must be loaded anew.
    """
    _check_follows(block, miners)
    coinbase = block.tx[0]
    spent, inputs_counts, paid_by_all, outputs_counts = block.scripts or _scripts(block)
    pool = pools.pool(coinbase)
    scripts_paid = paid_scripts(coinbase)
    record_coinbase(miners, block.height, coinbase.txid, scripts_paid, pool)
    miners.watched.update(scripts_paid)
    flows = _Flows(block, miners, exchanges)
    flows.add_coinbase(coinbase)
    if keeper is not None:
        keeper.start_block(block, pool)

    zero_hop, one_hop = miners.zero_hop.index.keys(), miners.one_hop.credits.keys()
    latent = miners.one_hop.latent.keys()
    is_foreign = miners.watched.isdisjoint
    spent_end = paid_end = 0
    for number, (inputs_count, outputs_count) in enumerate(zip(inputs_counts, outputs_counts, strict=True), start=1):
        spent_start, spent_end = spent_end, spent_end + inputs_count
        paid_start, paid_end = paid_end, paid_end + outputs_count
        scripts, paid = spent[spent_start:spent_end], paid_by_all[paid_start:paid_end]
        # Most transactions touch no miner: one call checks them all, and the rest of them stays undecoded.
        spends, pays = not is_foreign(scripts), not is_foreign(paid)
        if not (spends or pays):
            continue
        tx = block.tx[number]
        if keeper is not None:
            keeper.add(tx, scripts, paid, miners)
        from_zero = spends and not zero_hop.isdisjoint(scripts)
        from_one = spends and not one_hop.isdisjoint(scripts)
        if from_zero or from_one:
            flows.add_spend(tx, scripts, paid)
        elif not zero_hop.isdisjoint(paid):
            flows.add_receipt(tx, paid)
        if from_one or not one_hop.isdisjoint(paid):
            _record_counterparties(miners, scripts, paid)
        if latent and not (latent.isdisjoint(scripts) and latent.isdisjoint(paid)):
            _record_latent_counterparties(miners, scripts, paid)
        if from_zero:
            flows.credit_payees(scripts, paid)
    miners.height, miners.block_hash = block.height, block.hash
    if block.height % PURGE_EVERY_BLOCKS == 0:
        _forget_inactive(miners, block.height)
    return flows.result(pool)


def _check_follows(block: NodeBlock, miners: MinerSet) -> None:
    if miners.height is None:
        return
    found, expected = (block.height, block.previous_hash), (miners.height + 1, miners.block_hash)
    if found != expected:
        raise BadInputError(
            f"block {block.hash}",
            f"height {found[0]} on {found[1]}",
            f"height {expected[0]} on {expected[1]}",
            "go back to a miner set of the branch that the node follows",
        )


def _scripts(block: NodeBlock) -> BlockScripts:
    """The scripts of all transactions but the coinbase: one list is cheaper than thousands."""
    txs = block.tx[1:]
    spent = [spend.prevout.script.hex for tx in txs for spend in tx.vin if spend.prevout is not None]
    inputs_counts = [len(tx.vin) for tx in txs]
    if len(spent) != sum(inputs_counts):
        bare = next(tx for tx in txs if any(spend.prevout is None for spend in tx.vin))
        raise BadInputError(
            f"block {block.height}, transaction {bare.txid}",
            "an input without prevout",
            "every input with its prevout",
            "use a node that has undo data of this block (not pruned) at verbosity 3",
        )
    paid = [output.script.hex for tx in txs for output in tx.vout]
    return BlockScripts(spent, inputs_counts, paid, [len(tx.vout) for tx in txs])


class _Flows:
    """The running sums of one block."""

    __slots__ = (
        "_block",
        "_credits",
        "_direct",
        "_exchanges",
        "_fee",
        "_height",
        "_hubs",
        "_inflow",
        "_latent",
        "_latent_partners",
        "_oldest",
        "_one_hop_outflow",
        "_outflows",
        "_sender",
        "_transfers",
        "_watched",
        "_zero",
    )

    def __init__(self, block: NodeBlock, miners: MinerSet, exchanges: Mapping[str, str]) -> None:
        self._block, self._height = block, block.height
        self._zero, self._exchanges = miners.zero_hop, exchanges
        self._credits, self._hubs = miners.one_hop.credits, miners.one_hop.hubs
        self._latent, self._latent_partners = miners.one_hop.latent, miners.one_hop.latent_partners
        self._watched = miners.watched
        self._oldest = block.height - ONE_HOP_MEMORY_BLOCKS
        self._outflows: list[int] = []
        self._transfers: list[Transfer] = []
        self._inflow = self._fee = self._direct = self._one_hop_outflow = 0
        self._sender = ""

    def add_coinbase(self, coinbase: Transaction) -> None:
        """A coinbase has no miner among its inputs, so all it pays to miners is inflow."""
        for output in coinbase.vout:
            script = output.script.hex
            if script in self._exchanges:
                self._direct += satoshi(output.value)
            elif script in self._zero.index:
                self._inflow += satoshi(output.value)

    def add_receipt(self, tx: Transaction, paid: Sequence[str]) -> None:
        """A transaction without a miner among its inputs: what it pays to 0-hop scripts is inflow."""
        for output, script in zip(tx.vout, paid, strict=True):
            if self._is_zero_hop(script):
                self._inflow += satoshi(output.value)

    def add_spend(self, tx: Transaction, scripts: Sequence[str], paid: Sequence[str]) -> None:
        """A transaction with an input of either layer: outflow, inflow, fee and transfers of each."""
        total = zero_hop = one_hop = 0
        fresh: int | None = 0
        by_pool: tuple[dict[str, int], dict[str, int]] = ({}, {})
        for spend, script in zip(tx.vin, scripts, strict=True):
            sat = _spent_sat(spend)
            total += sat
            if self._is_zero_hop(script):
                zero_hop += sat
                fresh = _with_fresh(fresh, spend, sat)
                pool = self._zero.pool(script)
                by_pool[0][pool] = by_pool[0].get(pool, 0) + sat
            elif self._is_one_hop(script):
                one_hop += sat
                pool = self._credits[script].pool
                by_pool[1][pool] = by_pool[1].get(pool, 0) + sat
        self._sender = _largest(by_pool[0])
        if not zero_hop and not one_hop:
            self.add_receipt(tx, paid)
            return

        to_zero = to_one = to_all = 0
        deposits: dict[str, list[int]] = {}
        for output, script in zip(tx.vout, paid, strict=True):
            sat = satoshi(output.value)
            to_all += sat
            exchange = self._exchanges.get(script)
            if exchange is not None:
                deposits.setdefault(exchange, []).append(sat)
            elif script in self._zero.index:
                to_zero += sat
            elif self._is_one_hop(script):
                to_one += sat
        outflow = (to_all - to_zero) * zero_hop // total
        inflow = to_zero * (total - zero_hop) // total
        self._inflow += inflow
        self._fee += inflow - outflow - (to_zero - zero_hop)
        if outflow:
            self._outflows.append(outflow)
        self._one_hop_outflow += (to_all - to_zero - to_one) * one_hop // total
        for exchange, amounts in deposits.items():
            self._transfer(tx.txid, exchange, self._sender, 0, amounts, zero_hop, fresh, total)
            self._transfer(tx.txid, exchange, _largest(by_pool[1]), 1, amounts, one_hop, 0, total)

    def credit_payees(self, scripts: Sequence[str], paid: Sequence[str]) -> None:
        """Put into the 1-hop layer whom a transaction with a 0-hop input pays, or note whom labels keep out of it."""
        credits = any(self._is_zero_hop(script) for script in scripts)
        credit = Credit(self._height, self._sender)
        zero_hop, exchanges, hubs, latent = self._zero.index, self._exchanges, self._hubs, self._latent
        for script in paid:
            if script in zero_hop or script.startswith(OP_RETURN):
                continue
            if script in latent:
                self._latent_partners.pop(script, None)
            if credits and script not in exchanges and script not in hubs:
                self._credits[script] = credit
                latent.pop(script, None)
            else:
                latent[script] = self._height
            self._watched.add(script)

    def result(self, pool: str) -> BlockFlows:
        """The sums as a row."""
        return BlockFlows(
            height=self._height,
            block_hash=self._block.hash,
            pool=pool,
            outflow_sat=sum(self._outflows),
            outflow_tx_count=len(self._outflows),
            largest_outflows_sat=tuple(sorted(self._outflows, reverse=True)[:LARGEST_COUNT]),
            inflow_sat=self._inflow,
            fee_sat=self._fee,
            one_hop_outflow_sat=self._one_hop_outflow,
            coinbase_direct_to_exchange_sat=self._direct,
            transfers=tuple(self._transfers),
        )

    def _is_zero_hop(self, script: str) -> bool:
        return script in self._zero.index and script not in self._exchanges

    def _is_one_hop(self, script: str) -> bool:
        """Whether the layer has `script` now: labels, coinbases and time may have taken it out again."""
        credit = self._credits.get(script)
        return (
            credit is not None
            and credit.height > self._oldest
            and script not in self._zero.index
            and script not in self._exchanges
        )

    def _transfer(
        self,
        txid: str,
        exchange: str,
        pool: str,
        hop: int,
        amounts: Sequence[int],
        miner: int,
        fresh: int | None,
        total: int,
    ) -> None:
        sent = sum(sat * miner // total for sat in amounts)
        if sent:
            fresh_sent = None if fresh is None else sum(sat * fresh // total for sat in amounts)
            grade = quality(miner, total)
            block_hash = self._block.hash
            self._transfers.append(
                Transfer(self._height, block_hash, txid, exchange, pool, hop, sent, fresh_sent, miner, total, grade)
            )


def _spent_sat(spend: Input) -> int:
    return satoshi(spend.prevout.value) if spend.prevout is not None else 0


def _with_fresh(fresh: int | None, spend: Input, sat: int) -> int | None:
    generated = spend.prevout.generated if spend.prevout is not None else None
    if fresh is None or generated is None:
        return None
    return fresh + sat if generated else fresh


def _largest(sat_by_pool: Mapping[str, int]) -> str:
    return max(sat_by_pool, key=sat_by_pool.__getitem__, default="")


def _record_counterparties(miners: MinerSet, scripts: Sequence[str], paid: Sequence[str]) -> None:
    """Record sampled counterparties of the 1-hop scripts of a transaction, and remove those that have too many."""
    layer = miners.one_hop
    for script in _busy(layer.credits.keys(), layer.partners, scripts, paid):
        layer.hubs.add(script)
        layer.latent.setdefault(script, layer.credits[script].height)
        _forget(miners, script)


def _record_latent_counterparties(miners: MinerSet, scripts: Sequence[str], paid: Sequence[str]) -> None:
    """The same for latent scripts."""
    layer = miners.one_hop
    for script in _busy(layer.latent.keys(), layer.latent_partners, scripts, paid):
        _forget_latent(miners, script)


def _busy(
    known: KeysView[str], partners: dict[str, set[int]], scripts: Sequence[str], paid: Sequence[str]
) -> list[str]:
    """Record sampled counterparties of the `known` scripts of a transaction; returns those that have too many."""
    busy = []
    for own, others in ((scripts, paid), (paid, scripts)):
        mine = known & own
        if not mine:
            continue
        sampled = {crc for crc in map(crc32, map(str.encode, others)) if not crc % COUNTERPARTY_SAMPLE}
        if not sampled:
            continue
        for script in mine:
            counterparties = partners.setdefault(script, set())
            counterparties |= sampled
            counterparties.discard(crc32(script.encode()))
            if len(counterparties) >= HUB_SAMPLED_COUNTERPARTIES:
                busy.append(script)
    return list(dict.fromkeys(busy))


def _forget_inactive(miners: MinerSet, height: int) -> None:
    """Drop what has left the 1-hop layer by time or to the 0-hop set; it is no longer in the layer."""
    layer, zero_hop = miners.one_hop, miners.zero_hop.index
    oldest = height + 1 - ONE_HOP_MEMORY_BLOCKS
    gone = [script for script, credit in layer.credits.items() if credit.height <= oldest or script in zero_hop]
    for script in gone:
        _forget(miners, script)
    for script in [script for script, newest in layer.latent.items() if newest <= oldest or script in zero_hop]:
        _forget_latent(miners, script)


def _forget(miners: MinerSet, script: str) -> None:
    """Take `script` out of the 1-hop layer, in place: a copy of a large layer would double the memory for a moment."""
    del miners.one_hop.credits[script]
    miners.one_hop.partners.pop(script, None)
    _unwatch(miners, script)


def _forget_latent(miners: MinerSet, script: str) -> None:
    del miners.one_hop.latent[script]
    miners.one_hop.latent_partners.pop(script, None)
    _unwatch(miners, script)


def _unwatch(miners: MinerSet, script: str) -> None:
    layer = miners.one_hop
    if not (script in miners.zero_hop.index or script in layer.credits or script in layer.latent):
        miners.watched.discard(script)
