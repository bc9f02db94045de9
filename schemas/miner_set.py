"""Which scripts are miners' at one block of the chain: all that attribution carries from one block to the next."""

from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from schemas.labels import UNKNOWN_POOL


class Payee(NamedTuple):
    """A script that a coinbase paid: since which block, by which pool last, and in which block that pool paid it.

    `pool_height` is 0 where the pool was never known.
    """

    script: str
    first_height: int
    pool: str
    pool_height: int


class ZeroHop:
    """Scripts that a coinbase paid, each with the block that did so first and the pool that did so last.

    A million scripts take about 0.2 GB: one dictionary and three arrays, because an object for each would double it.
    `index` may be read directly; only `pay` may change it.
    """

    __slots__ = ("_first_heights", "_pool_heights", "_pool_of", "_pools", "_pools_by_name", "index")

    def __init__(self) -> None:
        self.index: dict[str, int] = {}
        self._first_heights = array("I")
        self._pool_heights = array("I")
        self._pool_of = array("H")
        self._pools: list[str] = []
        self._pools_by_name: dict[str, int] = {}

    def pay(self, script: str, height: int, pool: str) -> None:
        """Note that the coinbase of block `height`, made by `pool`, pays `script`; the order of blocks does not matter.

        A known pool is not replaced by an unknown one.
        """
        at = self.index.get(script)
        known = pool != UNKNOWN_POOL
        if at is None:
            self.index[script] = len(self._first_heights)
            self._first_heights.append(height)
            self._pool_heights.append(height if known else 0)
            self._pool_of.append(self._number_of(pool))
            return
        if height < self._first_heights[at]:
            self._first_heights[at] = height
        if known and height >= self._pool_heights[at]:
            self._pool_heights[at] = height
            self._pool_of[at] = self._number_of(pool)

    def pool(self, script: str) -> str:
        """The pool that paid `script` last; raises `KeyError` for a script that no coinbase paid."""
        return self._pools[self._pool_of[self.index[script]]]

    def __len__(self) -> int:
        return len(self.index)

    def __iter__(self) -> Iterator[Payee]:
        for script, at in self.index.items():
            pool = self._pools[self._pool_of[at]]
            yield Payee(script, self._first_heights[at], pool, self._pool_heights[at])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ZeroHop) and sorted(self) == sorted(other)

    __hash__ = None  # type: ignore[assignment]

    def columns(self) -> tuple["array[int]", "array[int]", "array[int]", list[str]]:
        """First heights, pool heights, pool numbers in the order of `index`, and the pool names they number."""
        return self._first_heights, self._pool_heights, self._pool_of, self._pools

    @classmethod
    def of_columns(
        cls,
        scripts: Iterable[str],
        first_heights: "array[int]",
        pool_heights: "array[int]",
        pool_of: "array[int]",
        pools: list[str],
    ) -> "ZeroHop":
        """The set with these `columns` and `index`. Raises `ValueError` where they do not fit together."""
        paid = cls()
        paid.index = dict(zip(scripts, range(len(first_heights)), strict=True))
        if not len(paid.index) == len(first_heights) == len(pool_heights) == len(pool_of):
            raise ValueError("a script twice, or columns of different lengths")
        if pool_of and max(pool_of) >= len(pools):
            raise ValueError("a pool number without a name")
        paid._first_heights, paid._pool_heights, paid._pool_of = first_heights, pool_heights, pool_of
        paid._pools, paid._pools_by_name = list(pools), {name: i for i, name in enumerate(pools)}
        return paid

    def _number_of(self, pool: str) -> int:
        number = self._pools_by_name.get(pool)
        if number is None:
            number = self._pools_by_name[pool] = len(self._pools)
            self._pools.append(pool)
        return number


class Credit(NamedTuple):
    """The newest payment from a 0-hop script to a 1-hop script. All payees of one transaction share one object."""

    height: int
    pool: str


@dataclass(slots=True)
class OneHop:
    """Scripts that were credited in a transaction sent by a 0-hop script, and how many partners each of them has.

    `credits` holds the newest credit of each script. `partners` holds, for the few scripts that have any, the sampled
    counterparties. `hubs` are the scripts that have too many to be a miner, for good.

    `latent` are scripts that other labels would put into the layer, or keep in it longer: the height of the newest
    payment from any 0-hop script, where that is no credit. `latent_partners` holds, for those that have any, the
    sampled counterparties since that payment.
    """

    credits: dict[str, Credit] = field(default_factory=dict)
    partners: dict[str, set[int]] = field(default_factory=dict)
    hubs: set[str] = field(default_factory=set)
    latent: dict[str, int] = field(default_factory=dict)
    latent_partners: dict[str, set[int]] = field(default_factory=dict)


@dataclass(slots=True)
class MinerSet:
    """The state after block `height`, whose hash is `block_hash`; None and '' before the first block.

    Of the blocks below `whole_from_height` only the coinbase was read: the 0-hop set misses nothing, the 1-hop layer
    begins there. `coinbase_txids` are their ids in the byte order in which an input refers to them.

    `watched` follows from the rest: every script that is in either layer under any labels, and perhaps some that have
    left one. A lookup in one set is several times faster than in three dictionaries, and nearly every script of a block
    is in none.
    """

    height: int | None = None
    block_hash: str = ""
    whole_from_height: int = 0
    zero_hop: ZeroHop = field(default_factory=ZeroHop)
    coinbase_txids: set[bytes] = field(default_factory=set)
    one_hop: OneHop = field(default_factory=OneHop)
    watched: set[str] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        self.watch()

    def watch(self) -> None:
        """Compute `watched` anew."""
        self.watched = {*self.zero_hop.index, *self.one_hop.credits, *self.one_hop.latent}
