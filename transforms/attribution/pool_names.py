"""The pool that made a block, from an open pool list: payout address first, then coinbase tag, else 'unknown'.

The order of the two, and the first entry of the list where several tags fit, follow the public list's own readers
(mempool, brk).
"""

import re
from collections.abc import Iterable
from typing import Final

from schemas.labels import UNKNOWN_POOL, PoolEntry
from schemas.node_block import Transaction

_NOT_IN_A_SLUG: Final = re.compile(r"[^a-z0-9]")


def slug(name: str) -> str:
    """Name of a pool in every table: small letters and digits of its `name`, as the public lists do it."""
    return _NOT_IN_A_SLUG.sub("", name.lower()) or UNKNOWN_POOL


class PoolNames:
    """A pool list, indexed for many blocks."""

    __slots__ = ("_by_script", "_tags")

    def __init__(self, entries: Iterable[PoolEntry]) -> None:
        self._by_script: dict[str, str] = {}
        self._tags: list[tuple[str, str]] = []
        for entry in entries:
            pool = slug(entry.name)
            for script in entry.scripts:
                self._by_script.setdefault(script, pool)
            self._tags += [(tag.casefold(), pool) for tag in entry.tags if tag]

    def payees(self) -> Iterable[tuple[str, str]]:
        """Scripts that pools are paid to, each with the slug of its pool."""
        return self._by_script.items()

    def pool(self, coinbase: Transaction) -> str:
        """The slug of the pool that made the block of this `coinbase` transaction, 'unknown' if neither matches."""
        return self.named(coinbase.vin[0].coinbase or "", (output.script.hex for output in coinbase.vout))

    def named(self, coinbase_script: str, output_scripts: Iterable[str]) -> str:
        """As `pool`, from the scripts of a coinbase in hexadecimal.

        Bytes of the coinbase script that are not UTF-8 are skipped; case does not matter.
        """
        by_script = self._by_script
        for script in output_scripts:
            pool = by_script.get(script)
            if pool is not None:
                return pool
        text = bytes.fromhex(coinbase_script).decode("utf-8", "ignore").casefold()
        return next((pool for tag, pool in self._tags if tag in text), UNKNOWN_POOL)
