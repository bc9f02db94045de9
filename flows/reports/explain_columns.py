"""Which published columns are made of transfers or of the sums of blocks, and how."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeAlias

from schemas.table import Origin
from transforms.catalog import TABLES


class Form(StrEnum):
    """How a figure follows from the amounts of its parts."""

    SUM = "sum"
    COUNT = "count"
    """Of the transactions."""
    MEAN = "mean"
    LARGEST = "largest"
    """Sum of the ten largest transactions."""
    MONTH = "month"
    """Sum of thirty days, those that are not known at the mean of the others."""
    LARGEST_DAY = "largest day"
    """Of the same thirty days."""
    PRICED = "priced"
    """Sum at the price of the day."""
    SHARE = "share"
    """Sum over the outflow, in percent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OfTransfers:
    """A figure made of the transfers of one layer, or of both: `amount` is what of each is added up."""

    form: Form = Form.SUM
    amount: str = "transfer_sat"
    hop: int | None = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class OfBlocks:
    """A figure made of the sums of single blocks: `amount` is what of each is added up, `count` the transactions."""

    amount: str
    form: Form = Form.SUM
    has_count: bool = False


Made: TypeAlias = OfTransfers | OfBlocks

_BY_FLOWS: Final[dict[str, Made]] = {
    "miner_to_exchange_btc": OfTransfers(),
    "miner_to_exchange_count": OfTransfers(form=Form.COUNT),
    "miner_to_exchange_mean_btc": OfTransfers(form=Form.MEAN),
    "miner_to_exchange_top10_btc": OfTransfers(form=Form.LARGEST),
    "miner_to_exchange_fresh_btc": OfTransfers(amount="fresh_sat"),
    "one_hop_to_exchange_btc": OfTransfers(hop=1),
}
_BY_DAY: Final[dict[str, Made]] = {
    "miner_outflow_btc": OfBlocks(amount="outflow_sat", has_count=True),
    "miner_netflow_btc": OfBlocks(amount="netflow_sat"),
    "miner_outflow_usd": OfBlocks(amount="outflow_sat", form=Form.PRICED, has_count=True),
    "miner_outflow_mean_btc": OfBlocks(amount="outflow_sat", form=Form.MEAN, has_count=True),
    "miner_outflow_top10_btc": OfBlocks(amount="outflow_sat", form=Form.LARGEST),
    "miner_to_exchange_btc": OfTransfers(),
    "miner_to_exchange_count": OfTransfers(form=Form.COUNT),
    "miner_to_exchange_mean_btc": OfTransfers(form=Form.MEAN),
    "miner_to_exchange_30d_btc": OfTransfers(form=Form.MONTH),
    "miner_to_exchange_max_30d_btc": OfTransfers(form=Form.LARGEST_DAY),
}
_OF_MINERS: Final[dict[str, Made]] = {
    "outflow_btc": OfBlocks(amount="outflow_sat", has_count=True),
    "outflow_count": OfBlocks(amount="outflow_sat", form=Form.COUNT, has_count=True),
    "outflow_mean_btc": OfBlocks(amount="outflow_sat", form=Form.MEAN, has_count=True),
    "outflow_top10_btc": OfBlocks(amount="outflow_sat", form=Form.LARGEST),
    "inflow_btc": OfBlocks(amount="inflow_sat"),
    "fee_btc": OfBlocks(amount="fee_sat"),
    "netflow_btc": OfBlocks(amount="netflow_sat"),
    "one_hop_outflow_btc": OfBlocks(amount="one_hop_outflow_sat"),
    "coinbase_direct_to_exchange_btc": OfBlocks(amount="coinbase_direct_to_exchange_sat"),
    "outflow_to_exchange_btc": OfTransfers(),
    "outflow_to_exchange_fresh_btc": OfTransfers(amount="fresh_sat"),
    "one_hop_to_exchange_btc": OfTransfers(hop=1),
    "outflow_unlabelled_pct": OfBlocks(amount="unlabelled_sat", form=Form.SHARE),
}
_OF_TRANSFERS: Final[dict[str, Made]] = {
    "transfer_sat": OfTransfers(hop=None),
    "transfer_btc": OfTransfers(hop=None),
    "fresh_sat": OfTransfers(amount="fresh_sat", hop=None),
    "miner_input_sat": OfTransfers(amount="miner_input_sat", hop=None),
    "total_input_sat": OfTransfers(amount="total_input_sat", hop=None),
}
MADE: Final[dict[str, dict[str, Made]]] = {
    "capitulation_daily": _BY_DAY,
    **{
        name: _BY_FLOWS
        for name, table in TABLES.items()
        if table.lineage and table.lineage.origin is Origin.FLOWS and "day" in table.key
    },
    "miner_flow_daily": _OF_MINERS,
    "miner_transfer": _OF_TRANSFERS,
}
"""By table and column."""
FREE_PARTS: Final = {"miner_transfer": ("exchange", "pool", "txid")}
"""By table whose rows are no days, what may narrow the sum of its column over the day."""


def explained_inputs(table: str, column: str) -> list[str]:
    """The columns that can be explained among those that `column` is computed from, the nearest ones only."""
    metrics = {m.name: m for m in TABLES[table].metrics} if table in TABLES else {}
    known = MADE.get(table, {})
    pending, seen = [column], {column}
    while pending:
        read = dict.fromkeys(name for each in pending if each in metrics for name in metrics[each].inputs)
        if found := [name for name in read if name in known]:
            return found
        pending = [name for name in read if name not in seen]
        seen.update(pending)
    return []
