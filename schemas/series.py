"""The closed list of daily series a source may state, with unit and meaning. The unit of storage is fixed here."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from schemas.units import Unit


class Group(StrEnum):
    """What a profile ranks sources for. All series of one group come from the same kind of source."""

    BLOCKS = "blocks"
    PRICE = "price"
    CHAIN = "chain"
    MINER_FLOWS = "miner_flows"
    EXCHANGE_FLOWS = "exchange_flows"
    FILINGS = "filings"


@dataclass(frozen=True, slots=True)
class Series:
    """One daily series: its name in storage, what it counts, and the bounds of its values."""

    name: str
    group: Group
    unit: Unit
    description: str
    ge: float = 0
    le: float | None = None
    above: bool = False
    """Whether `ge` itself is rejected: a price or a difficulty of exactly zero is a gap, not a value."""


_SUPPLY_SAT: Final = 21_000_000 * 10**8
_FLOW_SAT: Final = 20 * _SUPPLY_SAT
"""Coins move more than once a day, so a flow may pass the supply; twenty times that in a day is a unit error."""

_ALL: Final = (
    Series("price_usd", Group.PRICE, Unit.USD, "Price of one bitcoin over the UTC day", le=100_000_000, above=True),
    Series("block_count", Group.CHAIN, Unit.COUNT, "Blocks whose monotone header time falls in the UTC day", le=1_000),
    Series("issuance_sat", Group.CHAIN, Unit.SAT, "Subsidy claimed by the blocks of the day", le=_SUPPLY_SAT),
    Series("fees_sat", Group.CHAIN, Unit.SAT, "Transaction fees paid to the blocks of the day", le=_SUPPLY_SAT),
    Series(
        "fees_per_block_144_sat",
        Group.CHAIN,
        Unit.SAT,
        "Mean fees of the 144 blocks up to the last block of the day",
        le=_SUPPLY_SAT,
    ),
    Series("difficulty", Group.CHAIN, Unit.DIFFICULTY, "Mean difficulty of the blocks of the day", le=1e20, above=True),
    Series(
        "reward_sat",
        Group.CHAIN,
        Unit.SAT,
        "Subsidy and fees of the day as one vendor figure, for checks",
        le=_SUPPLY_SAT,
    ),
    Series(
        "reward_usd",
        Group.CHAIN,
        Unit.USD,
        "Subsidy and fees of the day in USD as one vendor figure, for checks",
        le=1e12,
    ),
    Series(
        "reported_issuance_usd",
        Group.CHAIN,
        Unit.USD,
        "Issuance in USD as the vendor computes it, for checks and where its parts are not stated",
        le=1e12,
    ),
    Series(
        "reported_hashrate_ehs",
        Group.CHAIN,
        Unit.EXAHASH_PER_SECOND,
        "Hash rate as the vendor computes it, for checks and where its parts are not stated",
        le=1e9,
    ),
    Series("supply_sat", Group.CHAIN, Unit.SAT, "Coins issued up to the end of the day", le=_SUPPLY_SAT),
    Series(
        "reported_puell_ratio",
        Group.CHAIN,
        Unit.RATIO,
        "Puell Multiple as the vendor computes it, for checks",
        le=1_000,
    ),
    Series("miner_outflow_sat", Group.MINER_FLOWS, Unit.SAT, "Coins leaving miner wallets", le=_FLOW_SAT),
    Series(
        "miner_outflow_mean_sat",
        Group.MINER_FLOWS,
        Unit.SAT,
        "Mean outflow per transaction from miner wallets",
        le=_FLOW_SAT,
    ),
    Series(
        "miner_outflow_top10_sat",
        Group.MINER_FLOWS,
        Unit.SAT,
        "The ten largest outflows from miner wallets, summed",
        le=_FLOW_SAT,
    ),
    Series("miner_inflow_sat", Group.MINER_FLOWS, Unit.SAT, "Coins entering miner wallets", le=_FLOW_SAT),
    Series(
        "miner_netflow_sat",
        Group.MINER_FLOWS,
        Unit.SAT,
        "Change of what miner wallets hold: inflow less outflow and fees",
        ge=-_FLOW_SAT,
        le=_FLOW_SAT,
    ),
    Series(
        "miner_to_exchange_sat", Group.MINER_FLOWS, Unit.SAT, "Coins sent by miner wallets to exchanges", le=_FLOW_SAT
    ),
    Series(
        "miner_to_exchange_count",
        Group.MINER_FLOWS,
        Unit.COUNT,
        "Transactions that carried coins from miner wallets to exchanges",
        le=10_000_000,
    ),
    Series(
        "miner_to_exchange_mean_sat",
        Group.MINER_FLOWS,
        Unit.SAT,
        "Mean size of a transaction from miner wallets to exchanges, as the vendor states it, for checks",
        le=_FLOW_SAT,
    ),
    Series(
        "exchange_to_miner_sat", Group.MINER_FLOWS, Unit.SAT, "Coins sent by exchanges to miner wallets", le=_FLOW_SAT
    ),
    Series(
        "miner_reserve_sat",
        Group.MINER_FLOWS,
        Unit.SAT,
        "Coins held by miner wallets at the end of the day",
        le=_SUPPLY_SAT,
    ),
    Series(
        "reported_mpi_zscore",
        Group.MINER_FLOWS,
        Unit.STANDARD_DEVIATIONS,
        "Miners' Position Index as the vendor computes it, for checks",
        ge=-1_000,
        le=1_000,
    ),
    Series(
        "coinbase_to_known_ratio",
        Group.MINER_FLOWS,
        Unit.RATIO,
        "Share of what coinbases of the day pay that goes to scripts which were known as miners' before",
        le=1,
    ),
    Series("exchange_inflow_sat", Group.EXCHANGE_FLOWS, Unit.SAT, "Coins sent to exchanges by anybody", le=_FLOW_SAT),
    Series(
        "exchange_inflow_mean_sat", Group.EXCHANGE_FLOWS, Unit.SAT, "Mean size of a deposit at exchanges", le=_FLOW_SAT
    ),
    Series(
        "exchange_inflow_top10_sat",
        Group.EXCHANGE_FLOWS,
        Unit.SAT,
        "The ten largest deposits at exchanges, summed",
        le=_FLOW_SAT,
    ),
    Series("exchange_outflow_sat", Group.EXCHANGE_FLOWS, Unit.SAT, "Coins withdrawn from exchanges", le=_FLOW_SAT),
    Series(
        "exchange_reserve_sat",
        Group.EXCHANGE_FLOWS,
        Unit.SAT,
        "Coins held by exchanges at the end of the day",
        le=_SUPPLY_SAT,
    ),
)

SERIES: Final = {series.name: series for series in _ALL}
