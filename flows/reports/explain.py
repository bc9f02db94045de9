"""From a daily flow figure back to the transactions it is the sum of, out of the publication alone."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

from schemas.errors import TerminalError
from schemas.units import SAT_PER_BTC
from transforms.catalog import CAPITULATION_DAILY, EXCHANGE_FLOW_DAILY
from transforms.inputs.exchange_flows import ALL
from warehouse.reading import query

TABLES: Final = (CAPITULATION_DAILY.name, EXCHANGE_FLOW_DAILY.name)
COLUMNS: Final = ("miner_to_exchange_btc", "miner_to_exchange_count")

_TRANSFERS: Final = """
    select height, txid, exchange, pool, transfer_sat, miner_input_sat, total_input_sat, quality, label_set
    from miner_transfer
    where day = $day and hop_count = 0
        and ($exchange in ('all', exchange)) and ($pool in ('all', pool))
    order by height, txid, exchange
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """A figure and the transfers behind it: `rows` under `names`, in the order of the chain."""

    figure: float
    label_sets: tuple[str, ...]
    transfer_sat: int
    transaction_count: int
    names: list[str]
    rows: list[tuple[Any, ...]]


def explain(published: Path, table: str, column: str, day: date, exchange: str, pool: str) -> Explanation:
    """The transfers that `column` of `table` counts on `day`; `exchange` and `pool` narrow `exchange_flow_daily`.

    Raises `TerminalError` for a figure of another kind, one that is not there, or one that is not the sum of
    transactions because its source states totals.
    """
    if table not in TABLES or column not in COLUMNS:
        raise TerminalError(
            f"{table}.{column}: found no figure made of transactions, expected {' or '.join(COLUMNS)} of "
            f"{' or '.join(TABLES)}; name one of these"
        )
    if table == CAPITULATION_DAILY.name and (exchange, pool) != (ALL, ALL):
        raise TerminalError(
            f"{table}: found one exchange or pool asked for, expected none; ask {EXCHANGE_FLOW_DAILY.name} for parts"
        )
    narrowed = {"exchange": exchange, "pool": pool}
    keys = "day = $day" + ("" if table == CAPITULATION_DAILY.name else " and exchange = $exchange and pool = $pool")
    asked = {"day": day} | ({} if table == CAPITULATION_DAILY.name else narrowed)
    _, found = query(
        published, f"select miner_to_exchange_btc, miner_to_exchange_count, sources from {table} where {keys}", asked
    )
    if not found or found[0][0] is None:
        raise TerminalError(
            f"{table}.{column} on {day}: found no figure, expected one; see meta.nulls for why, or ask for another day"
        )
    total_btc, count, sources = found[0]
    names, rows = query(published, _TRANSFERS, {"day": day} | narrowed)
    sent_sat = sum(row[names.index("transfer_sat")] for row in rows)
    if sent_sat != round(total_btc * SAT_PER_BTC):
        raise TerminalError(
            f"{table}.{column} on {day}: found a total of {total_btc} BTC stated by {sources}, expected the sum of "
            "transactions; only a source that reads blocks can be explained"
        )
    return Explanation(
        figure=total_btc if column == COLUMNS[0] else count,
        label_sets=tuple(sorted({row[-1] for row in rows})),
        transfer_sat=sent_sat,
        transaction_count=len({row[names.index("txid")] for row in rows}),
        names=names,
        rows=rows,
    )
