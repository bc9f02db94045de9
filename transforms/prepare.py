"""What every table starts from: the inputs of a run, put to days and resolved to one value a day and series."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import partial
from typing import Final

import polars as pl

from schemas.errors import NothingToPublishError
from schemas.first_published import KEPT
from schemas.series import Group
from schemas.suppliers import REGISTRY
from schemas.table import Origin
from transforms.calendar import dated, fold_blocks, is_final, whole_days
from transforms.checks.between_sources import OTHER_BLOCKS
from transforms.detail import Detail
from transforms.inputs.filings import filing_rows
from transforms.inputs.resolve import Resolved, resolve
from transforms.inputs.transfer_days import FlowDays, miner_flow_values, no_flow_days

MAIN_SERIES: Final = ("price_usd", "block_count", "issuance_sat", "fees_sat", "difficulty")
"""Without one of these, where anybody states it, a day is not described yet and may still move."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """The newest observations and the reference tables of a run.

    `blocks`, `values`, `flows` and `filings` are the frames of `schemas.observations`, `values` with its
    `source`; `flow_days` are the sums of flows of the `transfer_source`; `other_blocks` is what sources other than the
    `block_source` state of blocks.
    `detail`: by table that is built by year beside the others, what was found in its rows; it has none here.
    `published` is what readers have of the daily table by the same profile, None before its first publication.
    `first_published`: the figures of each day in the first publication that had them, as they are kept; `is_current`:
    whether those of other days are first published by this run.
    `through` is the last day that is published, `now` the one clock reading of the run.
    `allowed_lag_days`: by supplier, how far its newest day may lie behind `through`; others are not judged.
    `is_main_network`: whether the blocks are those of the main network, and not of an invented or a test chain.
    `is_test_chain`: whether they are those of a test chain, which limits of the main network do not fit.
    """

    blocks: pl.DataFrame
    block_source: str | None
    values: pl.DataFrame
    flows: pl.DataFrame
    flow_source: str | None
    flow_days: FlowDays = field(default_factory=no_flow_days)
    transfer_source: str | None = None
    other_blocks: pl.DataFrame = field(default_factory=partial(pl.DataFrame, schema=OTHER_BLOCKS))
    filings: pl.DataFrame = field(default_factory=partial(filing_rows, ()))
    filing_source: str | None = None
    reference: Mapping[str, pl.DataFrame]
    precedence: Mapping[Group, Sequence[str]]
    detail: Mapping[str, Detail] = field(default_factory=dict)
    published: pl.DataFrame | None = None
    first_published: pl.DataFrame = field(default_factory=partial(pl.DataFrame, schema=KEPT))
    is_current: bool = False
    through: date
    now: datetime
    allowed_lag_days: Mapping[str, int] = field(default_factory=dict)
    is_main_network: bool = True
    is_test_chain: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """The inputs of a run and what several tables need of them.

    `blocks` are dated and `whole` is `whole_days` of them.
    `values` are all daily values, those summed up from blocks and transfers included; `resolved` picks one source for
    each series, and `days` are its days with `is_final`. `described_until`: the last day that has every one of
    `MAIN_SERIES`, those left out that nobody states; None without any. `chain_is_folded`: whether the daily totals of
    the chain are sums over `blocks`; `flows_are_transfers`: whether flows to exchanges are sums of single transfers and
    not a vendor's. `origins` maps each origin that has a supplier to it.
    """

    inputs: Inputs
    blocks: pl.DataFrame
    whole: pl.DataFrame
    values: pl.DataFrame
    resolved: Resolved
    days: pl.DataFrame
    described_until: date | None
    chain_is_folded: bool
    flows_are_transfers: bool
    origins: Mapping[Origin, str]

    def marked(self, rows: pl.DataFrame, origin: Origin, *, by_blocks: bool = True) -> pl.DataFrame:
        """Add `sources`, the supplier of `origin`, and `is_final` by the clock and, with `by_blocks`, by the blocks."""
        final = is_final(self.whole if by_blocks else None, self.inputs.now)
        return rows.with_columns(final.alias("is_final"), pl.lit(self.origins.get(origin), pl.String).alias("sources"))


def prepare(inputs: Inputs) -> Prepared:
    """Put the observations to days and resolve them.

    Raises `NothingToPublishError` when no source states any day.
    """
    blocks = dated(inputs.blocks)
    whole = whole_days(blocks)
    folded = fold_blocks(blocks, whole).select(pl.lit(inputs.block_source, pl.String).alias("source"), pl.all())
    # Where a source states blocks and totals of the same days, its blocks count.
    stated = inputs.values.join(folded, on=["source", "series", "day"], how="anti", maintain_order="left")
    summed = miner_flow_values(inputs.flow_days.sums)
    summed = summed.select(pl.lit(inputs.transfer_source, pl.String).alias("source"), pl.all())
    stated = stated.join(summed, on=["source", "series", "day"], how="anti", maintain_order="left")
    values = pl.concat([stated, folded, summed])
    resolved = resolve(
        values.filter(pl.col("day") <= inputs.through), inputs.precedence, block_source=inputs.block_source
    )
    if resolved.days.is_empty():
        raise NothingToPublishError(
            f"days up to {inputs.through}: found none in any source of the profile, expected at least one; "
            "check the sources with `hashpivot doctor`"
        )
    described_until = _described_until(resolved.days)
    chain_is_folded = inputs.block_source is not None and inputs.block_source == resolved.chosen.get("block_count")
    flows_are_transfers = _ranks_transfers_first(inputs)
    stated_flows = inputs.transfer_source if flows_are_transfers else inputs.flow_source
    origins = {
        Origin.BLOCKS: inputs.block_source,
        Origin.FLOWS: stated_flows or resolved.chosen.get("miner_to_exchange_sat"),
        Origin.TRANSFERS: inputs.transfer_source,
        Origin.FILINGS: inputs.filing_source,
        Origin.REGISTRY: REGISTRY.name,
    }
    final = is_final(whole if chain_is_folded else None, inputs.now, described_until)
    return Prepared(
        inputs=inputs,
        blocks=blocks,
        whole=whole,
        values=values,
        resolved=resolved,
        days=resolved.days.with_columns(pl.when(pl.col("sources") != "").then(final).alias("is_final")),
        described_until=described_until,
        chain_is_folded=chain_is_folded,
        flows_are_transfers=flows_are_transfers,
        origins={origin: supplier for origin, supplier in origins.items() if supplier is not None},
    )


def _described_until(days: pl.DataFrame) -> date | None:
    """The last of the resolved `days` that has each of `MAIN_SERIES`, those left out that have no day at all."""
    ends = days.select(pl.col("day").filter(pl.col(name).is_not_null()).max().alias(name) for name in MAIN_SERIES)
    return min((end for end in ends.row(0) if end is not None), default=None)


def _ranks_transfers_first(inputs: Inputs) -> bool:
    """Whether the profile ranks the source of transfers before that of flows, or there is no source of flows."""
    transfers, flows = inputs.transfer_source, inputs.flow_source
    if transfers is None or flows is None:
        return transfers is not None
    ranked = list(inputs.precedence.get(Group.MINER_FLOWS, ()))
    return ranked.index(transfers) <= ranked.index(flows)
