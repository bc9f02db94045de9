"""Esplora's responses, and what they state of a block beyond its header. Amounts are in satoshi."""

from collections.abc import Sequence
from typing import Annotated

import msgspec

from flows.sources.hosted_blocks.block import REMEDY, Header, HostedBlock, Satoshi, checked, proven
from flows.sources.hosted_blocks.pool import pool_of
from schemas.errors import BadInputError
from transforms.attribution.pool_names import PoolNames

Hexadecimal = Annotated[str, msgspec.Meta(pattern=r"\A([0-9a-f]{2})*\Z")]


class Block(Header, kw_only=True):
    """One block of `/blocks`."""

    tx_count: Annotated[int, msgspec.Meta(ge=1)]


class Input(msgspec.Struct):
    """One input; of the coinbase's, the script is what its miner wrote."""

    is_coinbase: bool
    scriptsig: Hexadecimal


class Output(msgspec.Struct):
    """One output."""

    scriptpubkey: Hexadecimal
    value: Satoshi


class Status(msgspec.Struct):
    """Where a transaction is."""

    block_hash: str | None = None


class Transaction(msgspec.Struct):
    """One transaction of `/block/:hash/txs`; the first of a block is its coinbase."""

    vin: list[Input]
    vout: list[Output]
    fee: Satoshi
    status: Status


def with_coinbase(place: str, block: Block, page: Sequence[Transaction], names: PoolNames) -> HostedBlock:
    """`block` with the pool, and with reward and fees where the first `page` of transactions holds all of them.

    Fees of a larger block are in hundreds of pages, so that they stay None, and with them what the coinbase claims
    beyond them. Raises `BadInputError` where the page does not begin with the coinbase of that block.
    """
    where = f"{place} block {block.height:,}"
    if not page or not any(each.is_coinbase for each in page[0].vin):
        raise BadInputError(where, "a first transaction that is no coinbase", "the coinbase", REMEDY)
    if any(each.status.block_hash != block.id for each in page) or len(page) > block.tx_count:
        raise BadInputError(where, "transactions of another block", f"those of {block.id}", "try again later")
    coinbase, *others = page
    whole = len(page) == block.tx_count
    reward_sat = sum(output.value for output in coinbase.vout)
    row = proven(place, block)._replace(
        reward_sat=reward_sat if whole else None,
        fees_sat=sum(each.fee for each in others) if whole else None,
        pool=pool_of(names, coinbase.vin[0].scriptsig, [output.scriptpubkey for output in coinbase.vout]),
    )
    return checked(place, row, coinbase.vin[0].scriptsig)
