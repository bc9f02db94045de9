"""The whole computation: newest observations in, checked tables out. Recomputes all history, because that is cheap."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cache, partial

import pandera.polars as pa
import polars as pl

from schemas.enforce import enforce
from schemas.errors import NothingToPublishError
from schemas.published import schema_of
from schemas.series import Group
from schemas.suppliers import REGISTRY
from transforms.attribution.transfers import block_flow_rows, transfer_rows
from transforms.calendar import dated, fold_blocks, is_final, whole_days
from transforms.catalog import (
    CAPITULATION_DAILY,
    CONVERSION_DAILY,
    EXCHANGE_FLOW_DAILY,
    FILING_CANDIDATE,
    LEASE_ECONOMICS,
    MINER_FLOW_DAILY,
    MINER_TRANSFER,
    POOL_DAILY,
    SECURITY_DAILY,
    TABLES,
    Table,
)
from transforms.checks.between_sources import (
    OTHER_BLOCKS,
    PRICE,
    check_claims,
    check_issuance,
    check_prices,
    check_same_blocks,
)
from transforms.checks.reported import check_reported
from transforms.checks.tables import (
    Check,
    check_conflicts,
    check_days,
    check_flows,
    check_pools,
    check_reported_hashrate,
)
from transforms.derive import NULLS, derive, explain_nulls, published
from transforms.inputs.concentration import concentration_days
from transforms.inputs.conversion import FROM_MARKET, conversion_days
from transforms.inputs.cost import known_inputs
from transforms.inputs.exchange_flows import exchange_flow_days, exchange_flow_totals
from transforms.inputs.filings import filing_candidates, filing_rows
from transforms.inputs.leases import standing_contracts
from transforms.inputs.pools import pool_days
from transforms.inputs.resolve import resolve
from transforms.inputs.security import security_days, supply_at_end
from transforms.inputs.transfer_days import miner_flow_values, seen_days, seen_flow_days, transfer_flow_days


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """The newest observations and the reference tables, as a run sees them.

    `blocks`, `values`, `flows`, `transfers`, `block_flows` and `filings` are the frames of `schemas.observations`,
    `values` with its `source`; `other_blocks` is what sources other than the `block_source` say of blocks. `through` is
    the last day that is published, `now` the one clock reading of the run.
    """

    blocks: pl.DataFrame
    block_source: str | None
    values: pl.DataFrame
    flows: pl.DataFrame
    flow_source: str | None
    transfers: pl.DataFrame = field(default_factory=partial(transfer_rows, (), ""))
    block_flows: pl.DataFrame = field(default_factory=partial(block_flow_rows, (), ""))
    transfer_source: str | None = None
    other_blocks: pl.DataFrame = field(default_factory=partial(pl.DataFrame, schema=OTHER_BLOCKS))
    filings: pl.DataFrame = field(default_factory=partial(filing_rows, ()))
    filing_source: str | None = None
    reference: Mapping[str, pl.DataFrame]
    precedence: Mapping[Group, Sequence[str]]
    through: date
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """Tables that have passed their schemas, and what there is to say about them.

    `chosen` tells the source of each series, `flow_source` that of `exchange_flow_daily`, `transfer_source` that of
    `miner_transfer`.
    """

    tables: Mapping[str, pl.DataFrame]
    nulls: pl.DataFrame
    checks: tuple[Check, ...]
    chosen: Mapping[str, str]
    flow_source: str | None
    transfer_source: str | None


@cache
def schema(name: str) -> pa.DataFrameSchema:
    """The Pandera schema that table `name` of the catalogue must pass."""
    table = TABLES[name]
    return schema_of(table.name, table.key, table.metrics, table.truths)


def build(inputs: Inputs) -> Built:
    """Compute every derived table.

    Raises `NothingToPublishError` when no source states any day, `ContractError` when a table breaks its schema.
    """
    blocks = dated(inputs.blocks)
    whole = whole_days(blocks)
    folded = fold_blocks(blocks, whole).select(pl.lit(inputs.block_source, pl.String).alias("source"), pl.all())
    # Where a source states blocks and totals of the same days, its blocks are what it has to say.
    stated = inputs.values.join(folded, on=["source", "series", "day"], how="anti", maintain_order="left")
    # Without transfers there is nothing to date, and a million blocks need not be looked through for it.
    dating = blocks if inputs.transfer_source else blocks.clear()
    known = seen_days(inputs.block_flows, dating, whole).filter(pl.col("day") <= inputs.through)
    transfers = inputs.transfers.join(known, on="height", how="inner", validate="m:1", maintain_order="left")
    flow_days = seen_flow_days(inputs.block_flows, inputs.transfers, known)
    summed = miner_flow_values(flow_days).select(pl.lit(inputs.transfer_source, pl.String).alias("source"), pl.all())
    stated = stated.join(summed, on=["source", "series", "day"], how="anti", maintain_order="left")
    values = pl.concat([stated, folded, summed])
    resolved = resolve(values.filter(pl.col("day") <= inputs.through), inputs.precedence)
    if resolved.days.is_empty():
        raise NothingToPublishError(
            f"days up to {inputs.through}: found none in any source of the profile, expected at least one; "
            "check the sources with `hashpivot doctor`"
        )
    chain_is_folded = inputs.block_source is not None and inputs.block_source == resolved.chosen.get("block_count")
    days = resolved.days.with_columns(is_final(whole if chain_is_folded else None, inputs.now).alias("is_final"))
    by_transfer = _first(inputs, inputs.transfer_source, inputs.flow_source)
    stated_flow_source = inputs.transfer_source if by_transfer else inputs.flow_source
    flow_source = stated_flow_source or resolved.chosen.get("miner_to_exchange_sat")
    costs = known_inputs(days, inputs.reference["fleet_efficiency"], inputs.reference["power_price"])
    # Days and pools know nothing of each other and take about as long, so each gets a core.
    with ThreadPoolExecutor(max_workers=1) as second_core:
        pools = second_core.submit(_pools, inputs, blocks, whole)
        market = derive(
            days.join(costs, on="day", how="left", validate="1:1", maintain_order="left"), CAPITULATION_DAILY.metrics
        )
        frames = {
            CONVERSION_DAILY.name: _conversion(inputs, market),
            LEASE_ECONOMICS.name: standing_contracts(inputs.reference, market, inputs.through).with_columns(
                pl.lit(REGISTRY.name).alias("sources")
            ),
            FILING_CANDIDATE.name: filing_candidates(inputs.filings, inputs.reference["filing_review"]).with_columns(
                pl.lit(inputs.filing_source, pl.String).alias("sources")
            ),
            EXCHANGE_FLOW_DAILY.name: (
                _marked(transfer_flow_days(transfers), whole, inputs.now, flow_source)
                if by_transfer
                else _flows(inputs, days, flow_source)
            ),
            MINER_FLOW_DAILY.name: _marked(flow_days, whole, inputs.now, inputs.transfer_source),
            MINER_TRANSFER.name: _marked(
                transfers.sort("height", "txid", "exchange", "hop"), whole, inputs.now, inputs.transfer_source
            ),
        }
        derived = {CAPITULATION_DAILY.name: market}
        derived |= {name: derive(frame, TABLES[name].metrics) for name, frame in frames.items()}
        derived[POOL_DAILY.name], concentration = pools.result()
        derived[SECURITY_DAILY.name] = derive(
            security_days(
                market,
                derived[CONVERSION_DAILY.name],
                concentration,
                inputs.reference["asic_price"],
                inputs.reference["outage_event"],
                supply_at_end(blocks, whole),
            ),
            SECURITY_DAILY.metrics,
            # Lists come in pieces that depend on the moment, and pieces of memory become pages of the file.
        ).rechunk()
        # Checking is mostly Python's own work and telling reasons mostly that of Polars: each goes on beside the other.
        daily = [name for name in derived if TABLES[name].key == ("day",)]
        told = second_core.submit(lambda: [_nulls(TABLES[name], derived[name]) for name in daily])
        tables = {
            name: enforce(published(frame, TABLES[name].metrics), schema(name)) for name, frame in derived.items()
        }
        nulls = told.result()
    return Built(
        tables=tables,
        nulls=pl.concat(nulls),
        checks=(
            *check_days(tables[CAPITULATION_DAILY.name]),
            *check_pools(tables[POOL_DAILY.name], tables[CAPITULATION_DAILY.name], same_source=chain_is_folded),
            *check_flows(
                tables[EXCHANGE_FLOW_DAILY.name],
                tables[CAPITULATION_DAILY.name],
                same_source=flow_source == resolved.chosen.get("miner_to_exchange_sat"),
            ),
            *check_reported_hashrate(resolved.days, tables[CAPITULATION_DAILY.name]),
            *check_reported(resolved.days, tables[CAPITULATION_DAILY.name], resolved.chosen),
            *check_conflicts(resolved.conflicts),
            *check_prices(values, inputs.precedence.get(Group.PRICE, ()), resolved.chosen.get(PRICE), inputs.through),
            *check_same_blocks(inputs.blocks, inputs.block_source, inputs.other_blocks),
            *check_claims(inputs.blocks),
            *check_issuance(resolved.days),
        ),
        chosen=resolved.chosen,
        flow_source=flow_source,
        transfer_source=inputs.transfer_source,
    )


def _conversion(inputs: Inputs, market: pl.DataFrame) -> pl.DataFrame:
    """The conversion days, each beside what mining earns and costs on it."""
    first = inputs.reference["conversion_deal"]["known_at"].min()
    if not isinstance(first, date) or first > inputs.through:
        first = inputs.through
    days = conversion_days(inputs.reference, first, inputs.through)
    costs = known_inputs(days, inputs.reference["fleet_efficiency"], inputs.reference["power_price"])
    told = pl.col("sources").fill_null("")
    return (
        days.join(costs, on="day", how="left", validate="1:1", maintain_order="left")
        .join(
            market.select("day", *FROM_MARKET, "sources"), on="day", how="left", validate="1:1", maintain_order="left"
        )
        .with_columns(
            is_final(None, inputs.now).alias("is_final"),
            pl.concat_str(told, pl.lit(REGISTRY.name), separator=",").str.strip_prefix(",").alias("sources"),
        )
    )


def _pools(inputs: Inputs, blocks: pl.DataFrame, whole: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The derived days of the pools, and how concentrated they are."""
    days = pool_days(blocks, whole).filter(pl.col("day") <= inputs.through)
    marked = days.with_columns(
        is_final(whole, inputs.now).alias("is_final"), pl.lit(inputs.block_source, pl.String).alias("sources")
    )
    return derive(marked, POOL_DAILY.metrics), concentration_days(days, inputs.reference["proxy_pool"])


def _flows(inputs: Inputs, days: pl.DataFrame, source: str | None) -> pl.DataFrame:
    flows = exchange_flow_days(inputs.flows) if inputs.flow_source else exchange_flow_totals(days)
    return flows.filter(pl.col("day") <= inputs.through).with_columns(
        is_final(None, inputs.now).alias("is_final"), pl.lit(source, pl.String).alias("sources")
    )


def _marked(rows: pl.DataFrame, whole: pl.DataFrame, now: datetime, source: str | None) -> pl.DataFrame:
    return rows.with_columns(is_final(whole, now).alias("is_final"), pl.lit(source, pl.String).alias("sources"))


def _first(inputs: Inputs, source: str | None, other: str | None) -> bool:
    """Whether the profile ranks `source` of miner flows before the `other`, or has no other."""
    if source is None or other is None:
        return source is not None
    ranked = list(inputs.precedence.get(Group.MINER_FLOWS, ()))
    return ranked.index(source) <= ranked.index(other)


def _nulls(table: Table, frame: pl.DataFrame) -> pl.DataFrame:
    return explain_nulls(frame, table.metrics).select(pl.lit(table.name).alias("table_name"), *NULLS)
