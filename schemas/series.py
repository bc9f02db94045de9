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


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One daily series: its name in storage, what it counts, and the bounds no honest value leaves."""

    name: str
    group: Group
    unit: Unit
    description: str
    ge: float = 0
    le: float | None = None
    above: bool = False
    """Whether `ge` itself is refused: a price or a difficulty of exactly zero is a gap, not a value."""


_SUPPLY_LIMIT_SAT: Final = 21_000_000 * 10**8
_FLOW_LIMIT_SAT: Final = 20 * _SUPPLY_LIMIT_SAT
"""Coins move more than once a day, so a flow may pass the supply; twenty times that in a day is a unit error."""

_ALL: Final = (
    Series(
        name="price_usd",
        group=Group.PRICE,
        unit=Unit.USD,
        above=True,
        le=100_000_000,
        description="Price of one bitcoin over the UTC day",
    ),
    Series(
        name="block_count",
        group=Group.CHAIN,
        unit=Unit.COUNT,
        le=1_000,
        description="Blocks whose monotone header time falls in the UTC day",
    ),
    Series(
        name="issuance_sat",
        group=Group.CHAIN,
        unit=Unit.SAT,
        le=_SUPPLY_LIMIT_SAT,
        description="Subsidy claimed by the blocks of the day",
    ),
    Series(
        name="fees_sat",
        group=Group.CHAIN,
        unit=Unit.SAT,
        le=_SUPPLY_LIMIT_SAT,
        description="Transaction fees paid to the blocks of the day",
    ),
    Series(
        name="fees_per_block_144_sat",
        group=Group.CHAIN,
        unit=Unit.SAT,
        le=_SUPPLY_LIMIT_SAT,
        description="Mean fees of the 144 blocks up to the last block of the day",
    ),
    Series(
        name="difficulty",
        group=Group.CHAIN,
        unit=Unit.DIFFICULTY,
        above=True,
        le=1e20,
        description="Mean difficulty of the blocks of the day",
    ),
    Series(
        name="reward_sat",
        group=Group.CHAIN,
        unit=Unit.SAT,
        le=_SUPPLY_LIMIT_SAT,
        description="Subsidy and fees of the day as one vendor figure, for checks",
    ),
    Series(
        name="reward_usd",
        group=Group.CHAIN,
        unit=Unit.USD,
        le=1e12,
        description="Subsidy and fees of the day in USD as one vendor figure, for checks",
    ),
    Series(
        name="reported_hashrate_ehs",
        group=Group.CHAIN,
        unit=Unit.EXAHASH_PER_SECOND,
        le=1e9,
        description="Hash rate as the vendor computes it, for checks",
    ),
    Series(
        name="supply_sat",
        group=Group.CHAIN,
        unit=Unit.SAT,
        le=_SUPPLY_LIMIT_SAT,
        description="Coins issued up to the end of the day",
    ),
    Series(
        name="reported_puell_ratio",
        group=Group.CHAIN,
        unit=Unit.RATIO,
        le=1_000,
        description="Puell Multiple as the vendor computes it, for checks",
    ),
    Series(
        name="miner_outflow_sat",
        group=Group.MINER_FLOWS,
        unit=Unit.SAT,
        le=_FLOW_LIMIT_SAT,
        description="Coins leaving miner wallets",
    ),
    Series(
        name="miner_outflow_mean_sat",
        group=Group.MINER_FLOWS,
        unit=Unit.SAT,
        le=_FLOW_LIMIT_SAT,
        description="Mean outflow per transaction from miner wallets",
    ),
    Series(
        name="miner_outflow_top10_sat",
        group=Group.MINER_FLOWS,
        unit=Unit.SAT,
        le=_FLOW_LIMIT_SAT,
        description="The ten largest outflows from miner wallets, summed",
    ),
    Series(
        name="miner_inflow_sat",
        group=Group.MINER_FLOWS,
        unit=Unit.SAT,
        le=_FLOW_LIMIT_SAT,
        description="Coins entering miner wallets",
    ),
    Series(
        name="miner_to_exchange_sat",
        group=Group.MINER_FLOWS,
        unit=Unit.SAT,
        le=_FLOW_LIMIT_SAT,
        description="Coins sent by miner wallets to exchanges",
    ),
    Series(
        name="miner_to_exchange_count",
        group=Group.MINER_FLOWS,
        unit=Unit.COUNT,
        le=10_000_000,
        description="Transactions that carried coins from miner wallets to exchanges",
    ),
    Series(
        name="miner_to_exchange_mean_sat",
        group=Group.MINER_FLOWS,
        unit=Unit.SAT,
        le=_FLOW_LIMIT_SAT,
        description="Mean size of a transaction from miner wallets to exchanges, as the vendor states it, for checks",
    ),
    Series(
        name="exchange_to_miner_sat",
        group=Group.MINER_FLOWS,
        unit=Unit.SAT,
        le=_FLOW_LIMIT_SAT,
        description="Coins sent by exchanges to miner wallets",
    ),
    Series(
        name="miner_reserve_sat",
        group=Group.MINER_FLOWS,
        unit=Unit.SAT,
        le=_SUPPLY_LIMIT_SAT,
        description="Coins held by miner wallets at the end of the day",
    ),
    Series(
        name="reported_mpi_zscore",
        group=Group.MINER_FLOWS,
        unit=Unit.STANDARD_DEVIATIONS,
        ge=-1_000,
        le=1_000,
        description="Miners' Position Index as the vendor computes it, for checks",
    ),
    Series(
        name="exchange_inflow_sat",
        group=Group.EXCHANGE_FLOWS,
        unit=Unit.SAT,
        le=_FLOW_LIMIT_SAT,
        description="Coins sent to exchanges by anybody",
    ),
    Series(
        name="exchange_inflow_mean_sat",
        group=Group.EXCHANGE_FLOWS,
        unit=Unit.SAT,
        le=_FLOW_LIMIT_SAT,
        description="Mean size of a deposit at exchanges",
    ),
    Series(
        name="exchange_inflow_top10_sat",
        group=Group.EXCHANGE_FLOWS,
        unit=Unit.SAT,
        le=_FLOW_LIMIT_SAT,
        description="The ten largest deposits at exchanges, summed",
    ),
    Series(
        name="exchange_outflow_sat",
        group=Group.EXCHANGE_FLOWS,
        unit=Unit.SAT,
        le=_FLOW_LIMIT_SAT,
        description="Coins withdrawn from exchanges",
    ),
    Series(
        name="exchange_reserve_sat",
        group=Group.EXCHANGE_FLOWS,
        unit=Unit.SAT,
        le=_SUPPLY_LIMIT_SAT,
        description="Coins held by exchanges at the end of the day",
    ),
)

SERIES: Final = {series.name: series for series in _ALL}
