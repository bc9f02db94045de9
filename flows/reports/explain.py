"""From a daily figure of flows back to the transactions, or the blocks, that it is the sum of."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

import polars as pl

from flows.reports.explain_columns import FREE_PARTS, MADE, Form, Made, OfBlocks, OfTransfers, explained_inputs
from schemas.errors import TerminalError
from schemas.observations import ObservedTable
from schemas.units import PERCENT, SAT_PER_BTC
from transforms.attribution.blocks import LARGEST_COUNT
from transforms.calendar import dated
from transforms.catalog import TABLES
from transforms.metrics.miner_flows import MONTH_DAYS
from warehouse import vintages
from warehouse.block_flows import block_flows_between
from warehouse.publication_queries import Row, daily_values, sources_of_column, table_rows, transfers_behind
from warehouse.reading import OpenPublication, open_publication
from warehouse.working import open_working

IN_SAT: Final = ("_sat",)
ROUNDING: Final = 1e-9
"""Relative difference of two ways to compute a ratio in floating point."""
HALF_A_SATOSHI: Final = 0.5
LAYERS: Final = {
    0: "from scripts that a coinbase paid",
    1: "from the second layer, scripts that such scripts paid",
    None: "from both layers of miners",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """A published figure and what it is made of.

    `parts`: each transfer or block with its `amount_sat`, the largest first; together they are `amount_sat`, and none
    is below `least_sat`.
    `transaction_count` is None where the parts are blocks whose transactions nobody counted. `how`: in words.
    """

    table: str
    column: str
    day: date
    key: Mapping[str, str]
    figure: float
    how: str
    amount_sat: int
    least_sat: int
    transaction_count: int | None
    parts: Sequence[Row]
    are_blocks: bool
    are_whole_blocks: bool
    label_sets: tuple[str, ...]

    @property
    def unit(self) -> str:
        """What one of the parts is called: of the largest transactions only their blocks are stored."""
        return "transfer" if not self.are_blocks else "block" if self.are_whole_blocks else "transaction"

    @property
    def is_one_way(self) -> bool:
        """Whether each part is a share of the whole, as it is not where some coins come and others go."""
        return self.least_sat > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Whole:
    """What the parts of a figure are together, and what else goes into it."""

    amount_sat: int
    outflow_sat: int
    transaction_count: int | None
    block_count: int
    days: tuple[date, date]
    known_days: int
    price_usd: float | None


def is_of_blocks(published: Path, table: str, column: str) -> bool:
    """Whether the column is a sum of transfers or blocks, and comes from the source whose blocks were read."""
    if column not in MADE.get(table, {}):
        return False
    with open_publication(published) as publication:
        source = sources_of_column(publication, TABLES["miner_flow_daily"].name, "outflow_btc")
        return bool(source) and source in sources_of_column(publication, table, column).split(",")


def explain(published: Path, working: Path, table: str, column: str, day: date, key: Mapping[str, str]) -> Explanation:
    """What `column` of `table` is made of on `day`; `key` has the rest of the key of its row.

    Transfers are those of the publication; blocks are read from the working database. Raises `TerminalError` for a
    figure of another kind, one that is not there, or one whose parts are not what was published.
    """
    made = _made(table, column)
    _check_key(table, key)
    with open_publication(published) as publication:
        figure, row = _figure(publication, table, column, day, key)
        if isinstance(made, OfBlocks):
            days, known_days = (day, day), 1
            everything = _blocks(publication, working, table, column, made, day)
        else:
            days, known_days = _days(publication, made, day)
            everything = _transfers(publication, made, days, key)
    parts = [part for part in everything if part["amount_sat"]]
    if made.form is Form.LARGEST:
        parts = _largest(parts)
    whole = _Whole(
        amount_sat=sum(part["amount_sat"] for part in parts),
        outflow_sat=sum(part.get("outflow_sat", 0) for part in everything),
        transaction_count=_count(made, parts),
        block_count=len({part["height"] for part in parts}),
        days=days,
        known_days=known_days,
        price_usd=row.get("price_usd"),
    )
    expected = _expected(made, column, whole)
    if not _agree(figure, expected, column):
        raise TerminalError(
            f"{table}.{column} on {day}: found {figure} stated by {row.get('sources')}, expected {expected} as the "
            "parts give it; only a source that reads blocks can be explained, and after a run that read other blocks "
            "only what `hashpivot daily` then published"
        )
    return Explanation(
        table=table,
        column=column,
        day=day,
        key=key,
        figure=figure,
        how=_how(made, whole),
        amount_sat=whole.amount_sat,
        least_sat=min((part["amount_sat"] for part in parts), default=0),
        transaction_count=whole.transaction_count,
        parts=sorted(parts, key=lambda part: (-abs(part["amount_sat"]), part["height"], part.get("txid", ""))),
        are_blocks=isinstance(made, OfBlocks),
        are_whole_blocks=isinstance(made, OfBlocks) and made.form is not Form.LARGEST,
        label_sets=tuple(sorted({part["label_set"] for part in parts})),
    )


def _made(table: str, column: str) -> Made:
    """How the column is made. Raises `TerminalError` that names columns which can be explained."""
    if made := MADE.get(table, {}).get(column):
        return made
    if inputs := explained_inputs(table, column):
        raise TerminalError(
            f"{table}.{column}: found a figure that is computed from other columns, expected a sum; "
            f"explain {' or '.join(inputs)}, which it is made of"
        )
    raise TerminalError(
        f"{table}.{column}: found no figure made of transactions or blocks, expected "
        + (f"one of {', '.join(MADE[table])}" if table in MADE else f"a table of {', '.join(MADE)}")
        + "; name one of these"
    )


def _check_key(table: str, key: Mapping[str, str]) -> None:
    free = FREE_PARTS.get(table)
    wanted = free or TABLES[table].key[1:]
    if (set(key) <= set(wanted)) if free else (set(key) == set(wanted)):
        return
    raise TerminalError(
        f"{table}: found {_listed(key)}, expected {_listed(wanted)}; "
        "give what the rows of the table have, or name the table of these parts"
    )


def _listed(parts: Iterable[str]) -> str:
    return " and ".join(f"--{part}" for part in parts) or "neither --exchange nor --pool"


def _figure(
    publication: OpenPublication, table: str, column: str, day: date, key: Mapping[str, str]
) -> tuple[float, Row]:
    """The published value, and its row; of a table of transfers the sum over those that `key` leaves."""
    rows = table_rows(publication, table, {"day": day, **key})
    values = [row[column] for row in rows]
    if table not in FREE_PARTS and len(rows) == 1 and values[0] is not None:
        return values[0], rows[0]
    if table in FREE_PARTS and rows and None not in values:
        return (sum(values) if column.endswith(IN_SAT) else math.fsum(values)), rows[0]
    raise TerminalError(
        f"{table}.{column} on {day}: found no figure, expected one; see meta.nulls for why, or name another day"
    )


def _days(publication: OpenPublication, made: OfTransfers, day: date) -> tuple[tuple[date, date], int]:
    """The first and the last day whose transfers make the figure of `day`, and how many of them are known."""
    if made.form not in (Form.MONTH, Form.LARGEST_DAY):
        return (day, day), 1
    first = day - timedelta(days=MONTH_DAYS - 1)
    flows = daily_values(publication, "miner_to_exchange_btc", first, day)
    if made.form is Form.MONTH:
        return (first, day), len(flows)
    largest = max(flows, key=flows.__getitem__, default=day)
    return (largest, largest), 1


def _transfers(
    publication: OpenPublication, made: OfTransfers, days: tuple[date, date], key: Mapping[str, str]
) -> list[Row]:
    rows = transfers_behind(publication, *days, made.hop, key)
    return [{**row, "amount_sat": row[made.amount]} for row in rows]


def _blocks(
    publication: OpenPublication, working: Path, table: str, column: str, made: OfBlocks, day: date
) -> list[Row]:
    """The blocks of `day`, each with the amount that the figure adds up; none where no blocks are behind it."""
    source = sources_of_column(publication, TABLES["miner_flow_daily"].name, "outflow_btc")
    if not source or source not in sources_of_column(publication, table, column).split(","):
        return []
    if not working.exists():
        raise TerminalError(
            f"{working}: found nothing, expected the blocks behind {table}.{column}; run this where runs are"
        )
    with open_working(working) as connection:
        _, blocks = vintages.latest(connection, ObservedTable.BLOCK, (source,))
        heights = dated(blocks).filter(pl.col("day") == day)["height"]
        if heights.is_empty():
            return []
        flows = block_flows_between(connection, source, int(heights[0]), int(heights[-1]))
    sent: dict[int, int] = {}
    for transfer in transfers_behind(publication, day, day, 0, {}):
        sent[transfer["height"]] = sent.get(transfer["height"], 0) + transfer["transfer_sat"]
    rows: list[Row] = []
    for block in flows.iter_rows(named=True):
        block["netflow_sat"] = block["inflow_sat"] - block["outflow_sat"] - block["fee_sat"]
        block["unlabelled_sat"] = block["outflow_sat"] - sent.get(block["height"], 0)
        largest = block.pop("largest_outflows_sat")
        if made.form is Form.LARGEST:
            rows += [{**block, "amount_sat": each} for each in largest]
        else:
            rows.append({**block, "amount_sat": block[made.amount]})
    return rows


def _largest(parts: Sequence[Row]) -> list[Row]:
    """The parts of the ten largest transactions; a block's single amounts are one transaction each."""
    sat_of: dict[Any, int] = {}
    for number, part in enumerate(parts):
        name = part.get("txid", number)
        sat_of[name] = sat_of.get(name, 0) + part["amount_sat"]
    kept = set(sorted(sat_of, key=sat_of.__getitem__, reverse=True)[:LARGEST_COUNT])
    return [part for number, part in enumerate(parts) if part.get("txid", number) in kept]


def _count(made: Made, parts: Sequence[Row]) -> int | None:
    """How many transactions the parts are, where that is known."""
    if isinstance(made, OfTransfers):
        return len({part["txid"] for part in parts})
    if made.form is Form.LARGEST:
        return len(parts)
    return sum(part["outflow_tx_count"] for part in parts) if made.has_count else None


def _expected(made: Made, column: str, whole: _Whole) -> float:
    """The figure as its parts give it, in the unit of the column; NaN where they give none."""
    if column.endswith(IN_SAT):
        return whole.amount_sat
    amount_btc, count = whole.amount_sat / SAT_PER_BTC, whole.transaction_count
    match made.form:
        case Form.COUNT:
            return count or 0
        case Form.MEAN:
            return amount_btc / count if count else math.nan
        case Form.MONTH:
            return amount_btc * MONTH_DAYS / whole.known_days if whole.known_days else math.nan
        case Form.PRICED:
            return amount_btc * whole.price_usd if whole.price_usd is not None else math.nan
        case Form.SHARE:
            return PERCENT * whole.amount_sat / whole.outflow_sat if whole.outflow_sat else math.nan
    return amount_btc


def _agree(figure: float, expected: float, column: str) -> bool:
    """Whether they are the same: to the satoshi where it is an amount, else but for rounding in floating point."""
    if column.endswith("_btc") and "mean" not in column:
        return abs(figure - expected) * SAT_PER_BTC < HALF_A_SATOSHI
    return math.isclose(figure, expected, rel_tol=ROUNDING)


def _how(made: Made, whole: _Whole) -> str:
    """What the figure is, in a sentence without its verb."""
    among = [] if whole.transaction_count is None else [_counted(whole.transaction_count, "transaction")]
    if isinstance(made, OfBlocks):
        where = " of ".join([*among, _counted(whole.block_count, "block")])
    else:
        where = " ".join([*among, LAYERS[made.hop]])
    sat = f"{whole.amount_sat:,} satoshi"
    match made.form:
        case Form.COUNT:
            return f"{where}, which carried {sat}"
        case Form.MEAN:
            return f"{sat} over {where}"
        case Form.LARGEST:
            return f"the sum of {sat} in the largest {where}"
        case Form.MONTH:
            scaled = f", times {MONTH_DAYS} over the {whole.known_days} days that are known"
            scaled = scaled if whole.known_days < MONTH_DAYS else ""
            return f"the sum of {sat} in {where} from {whole.days[0]} to {whole.days[1]}{scaled}"
        case Form.LARGEST_DAY:
            return f"the sum of {sat} in {where} on {whole.days[0]}, the largest day of {MONTH_DAYS}"
        case Form.PRICED:
            return f"the sum of {sat} in {where}, at {whole.price_usd:,.2f} USD"
        case Form.SHARE:
            return f"the share of {sat} in an outflow of {whole.outflow_sat:,} satoshi in {where}"
    return f"the sum of {sat} in {where}"


def _counted(count: int, word: str) -> str:
    return f"{count:,} {word if count == 1 else f'{word}s'}"
