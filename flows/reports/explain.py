"""From a daily flow figure back to the transactions it is the sum of, out of the publication alone."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

from schemas.errors import TerminalError
from schemas.table import Origin
from schemas.units import SAT_PER_BTC
from transforms.catalog import TABLES
from transforms.tables.capitulation_daily import TABLE as CAPITULATION_DAILY
from warehouse.publication_queries import flow_figure, transfers_behind
from warehouse.reading import open_publication

KEYS: Final = {CAPITULATION_DAILY.name: CAPITULATION_DAILY.key} | {
    name: table.key for name, table in TABLES.items() if table.lineage and table.lineage.origin is Origin.FLOWS
}
"""By table that has such figures, what names a row of it."""
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


def explain(published: Path, table: str, column: str, day: date, parts: Mapping[str, str]) -> Explanation:
    """The transfers that `column` of `table` counts on `day`; `parts` gives the names of the rest of the table's key.

    Raises `TerminalError` for a figure of another kind, one that is not there, or one that is not the sum of
    transactions because its source states totals.
    """
    if table not in KEYS or column not in COLUMNS:
        raise TerminalError(
            f"{table}.{column}: found no figure made of transactions, expected {' or '.join(COLUMNS)} of "
            f"{' or '.join(KEYS)}; name one of these"
        )
    if {"day", *parts} != set(KEYS[table]):
        raise TerminalError(
            f"{table}: found {_listed(parts)}, expected {_listed(KEYS[table][1:])}; "
            "give what the rows of the table have, or name the table of these parts"
        )
    with open_publication(published) as publication:
        found = flow_figure(publication, table, {"day": day, **parts})
        names, rows = transfers_behind(publication, day, parts)
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


def _listed(parts: Iterable[str]) -> str:
    return " and ".join(f"--{part}" for part in parts) or "neither --exchange nor --pool"
