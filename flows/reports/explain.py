"""From a daily flow figure back to the transactions it is the sum of, out of the publication alone."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

from schemas.errors import TerminalError
from schemas.units import SAT_PER_BTC
from transforms.inputs.exchange_flows import ALL
from transforms.tables.capitulation_daily import TABLE as CAPITULATION_DAILY
from transforms.tables.exchange_flow_daily import TABLE as EXCHANGE_FLOW_DAILY
from warehouse.publication_queries import flow_figure, transfers_behind
from warehouse.reading import open_publication

TABLES: Final = (CAPITULATION_DAILY.name, EXCHANGE_FLOW_DAILY.name)
COLUMNS: Final = ("miner_to_exchange_btc", "miner_to_exchange_count")


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
            f"{table}: found an exchange or a pool, expected none; name {EXCHANGE_FLOW_DAILY.name} for parts"
        )
    key = {"day": day} if table == CAPITULATION_DAILY.name else {"day": day, "exchange": exchange, "pool": pool}
    with open_publication(published) as publication:
        found = flow_figure(publication, table, key)
        names, rows = transfers_behind(publication, day, exchange, pool)
    total_btc = found.get("miner_to_exchange_btc")
    if total_btc is None:
        raise TerminalError(
            f"{table}.{column} on {day}: found no figure, expected one; see meta.nulls for why, or name another day"
        )
    sent_sat = sum(row[names.index("transfer_sat")] for row in rows)
    if sent_sat != round(total_btc * SAT_PER_BTC):
        raise TerminalError(
            f"{table}.{column} on {day}: found a total of {total_btc} BTC stated by {found['sources']}, expected the "
            "sum of transactions; only a source that reads blocks can be explained"
        )
    return Explanation(
        figure=found[column],
        label_sets=tuple(sorted({row[-1] for row in rows})),
        transfer_sat=sent_sat,
        transaction_count=len({row[names.index("txid")] for row in rows}),
        names=names,
        rows=rows,
    )
