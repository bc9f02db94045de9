"""The version of the labels that flows were attributed with, where the labels changed on the way."""

from collections.abc import Callable, Mapping
from datetime import date
from functools import lru_cache
from hashlib import sha256
from typing import Final

import polars as pl

from schemas.labels import Kind
from warehouse.labels import LABEL_SET_DIGITS, exchange_scripts

CACHED_LABEL_DAYS: Final = 4

ExchangesOn = Callable[[date], Mapping[str, str]]


def label_set_after(present: str, before: str, height: int | None) -> str:
    """The version that blocks above `height` bear which go on with `present` from a miner set of the version `before`.

    The 1-hop layer remembers two years of labels, so that these blocks are not what the `present` ones alone would
    give: where `before` is another version, a second one that stands for what came before follows the first.
    """
    if before.startswith(present):
        return before
    return present + sha256(f"{before} {height}".encode()).hexdigest()[:LABEL_SET_DIGITS]


def exchanges_by_day(labels: pl.DataFrame) -> ExchangesOn:
    """Exchange scripts of any day, computed once for all days between two changes of the labels."""
    changes = labels.filter(pl.col("kind") == Kind.EXCHANGE.value)["valid_from"].drop_nulls().unique().sort().to_list()

    @lru_cache(CACHED_LABEL_DAYS)
    def since(change: date) -> Mapping[str, str]:
        return exchange_scripts(labels, on=change)

    return lambda day: since(max((change for change in changes if change <= day), default=date.min))
