"""Which of CryptoQuant's daily figures we fetch, by endpoint. Amounts are in BTC.

Source: https://docs.cryptoquant.com/. Nothing that could be computed from these is fetched as well.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from flows.sources.daily_cells import BTC, Column

ALL_MINERS: Final = "all_miner"
ALL_EXCHANGES: Final = "all_exchange"
MINER_TO_EXCHANGE: Final = "/btc/inter-entity-flows/miner-to-exchange"
ENTITIES: Final = "/btc/status/entity-list"

_OF_MINERS: Final = {"miner": ALL_MINERS}
_OF_EXCHANGES: Final = {"exchange": ALL_EXCHANGES}


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One address and the columns of its rows that we use."""

    path: str
    columns: tuple[Column, ...]
    params: Mapping[str, str] = field(default_factory=dict)


ENDPOINTS: Final = (
    Endpoint(
        path="/btc/miner-flows/outflow",
        params=_OF_MINERS,
        columns=(
            Column(header="outflow_total", series="miner_outflow_sat", unit=BTC),
            Column(header="outflow_top10", series="miner_outflow_top10_sat", unit=BTC),
            Column(header="outflow_mean", series="miner_outflow_mean_sat", unit=BTC),
        ),
    ),
    Endpoint(
        path="/btc/miner-flows/inflow",
        params=_OF_MINERS,
        columns=(Column(header="inflow_total", series="miner_inflow_sat", unit=BTC),),
    ),
    Endpoint(
        path="/btc/miner-flows/reserve",
        params=_OF_MINERS,
        columns=(Column(header="reserve", series="miner_reserve_sat", unit=BTC),),
    ),
    Endpoint(
        path=MINER_TO_EXCHANGE,
        params={"from_miner": ALL_MINERS, "to_exchange": ALL_EXCHANGES},
        columns=(
            Column(header="flow_total", series="miner_to_exchange_sat", unit=BTC),
            Column(header="transactions_count_flow", series="miner_to_exchange_count"),
            Column(header="flow_mean", series="miner_to_exchange_mean_sat", unit=BTC),
        ),
    ),
    Endpoint(
        path="/btc/inter-entity-flows/exchange-to-miner",
        params={"from_exchange": ALL_EXCHANGES, "to_miner": ALL_MINERS},
        columns=(Column(header="flow_total", series="exchange_to_miner_sat", unit=BTC),),
    ),
    Endpoint(
        path="/btc/exchange-flows/inflow",
        params=_OF_EXCHANGES,
        columns=(
            Column(header="inflow_total", series="exchange_inflow_sat", unit=BTC, zero_before_start=True),
            Column(header="inflow_top10", series="exchange_inflow_top10_sat", unit=BTC, zero_before_start=True),
            Column(header="inflow_mean", series="exchange_inflow_mean_sat", unit=BTC, zero_before_start=True),
        ),
    ),
    Endpoint(
        path="/btc/exchange-flows/outflow",
        params=_OF_EXCHANGES,
        columns=(Column(header="outflow_total", series="exchange_outflow_sat", unit=BTC, zero_before_start=True),),
    ),
    Endpoint(
        path="/btc/exchange-flows/reserve",
        params=_OF_EXCHANGES,
        columns=(Column(header="reserve", series="exchange_reserve_sat", unit=BTC, zero_before_start=True),),
    ),
    Endpoint(
        path="/btc/flow-indicator/mpi",
        columns=(Column(header="mpi", series="reported_mpi_zscore"),),
    ),
    Endpoint(
        path="/btc/network-indicator/puell-multiple",
        columns=(Column(header="puell_multiple", series="reported_puell_ratio", zero_before_start=True),),
    ),
)

OF_A_PAIR: Final = (
    Column(header="flow_total", series="miner_to_exchange_sat", unit=BTC, zero_before_start=True),
    Column(header="transactions_count_flow", series="miner_to_exchange_count"),
)
