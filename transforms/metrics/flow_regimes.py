"""How large the flow to exchanges is within its regime: since the supplier's labels last changed, and no longer.

A supplier that relabels wallets changes what a flow measures. A figure that compares a day with days before compares
only days of one regime, and is NULL while a break is suspected.
"""

from bisect import bisect_right, insort
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Final

import polars as pl

from schemas.metric import Example, Scalar, metric
from schemas.units import PERCENT, Unit
from transforms.metrics.miner_flows import LABELS_ERROR, LOWER_BOUND, MONTH_DAYS, YEAR_DAYS
from transforms.windows import max_over, median_over, ratio, sum_over

RECENT_DAYS: Final = 28
LEAST_RECENT_DAYS: Final = 25
QUARTER_DAYS: Final = 90
BREAK_RATIO: Final = 3
"""The largest moves with a market reason stay below: 2.5 in May 2022, 2.2 in November 2022."""
QUIET_DAYS: Final = 90
"""A suspected run ends after as many days on which nothing is suspected."""
BEFORE_SUSPECTED_DAYS: Final = RECENT_DAYS - 1
MONTHS_PER_QUARTER: Final = 3
LEAST_RANKED_DAYS: Final = 180
OLD_ENOUGH_DAYS: Final = MONTH_DAYS + LEAST_RANKED_DAYS - 1
"""From the first day of a regime until its thirty-day sums can be ranked."""
REASONS: Final = ("no_source", "break_suspected", "regime_too_young")

WITHIN = "Compares days of one regime of the source's labels only. "
FIRST = date(2024, 6, 1)
"""First day of a worked example."""


def _break_suspected(flow: pl.Expr) -> pl.Expr:
    """Whether the median of 28 days is three times that of the 90 days before, or a third; none is no change."""
    recent = median_over(flow, RECENT_DAYS, least=LEAST_RECENT_DAYS)
    before = median_over(flow, QUARTER_DAYS).shift(RECENT_DAYS)
    rose = (recent >= BREAK_RATIO * before) & (recent > 0)
    fell = (BREAK_RATIO * recent <= before) & (before > 0)
    return rose | fell


def _suspected_start(suspected: pl.Expr) -> pl.Expr:
    """The day on which the last suspected run may have begun: the first of the 28 days that first showed it."""
    is_suspected = suspected.fill_null(False)
    lately = is_suspected.cast(pl.Int32).rolling_sum(QUIET_DAYS, min_samples=1).shift(fill_value=0)
    begins = is_suspected & (lately == 0)
    return pl.when(begins).then(pl.col("day").dt.offset_by(f"-{BEFORE_SUSPECTED_DAYS}d")).forward_fill()


def within_regime(days: int) -> pl.Expr:
    """Whether the last `days` days, today included, lie in the regime and no break of it is suspected."""
    age = (pl.col("day") - pl.col("flow_regime_start")).dt.total_days() + 1
    return (age >= days) & ~pl.col("flow_break_suspected").fill_null(False)


@metric(
    Example(given={"miner_to_exchange_btc": [100.0] * 90 + [300.0] * 28}, gives=True),
    Example(given={"miner_to_exchange_btc": [100.0] * 90 + [299.0] * 28}, gives=False),
    Example(given={"miner_to_exchange_btc": [300.0] * 90 + [100.0] * 28}, gives=True),
    Example(
        given={"miner_to_exchange_btc": [100.0] * 90 + [9_000.0] * 13 + [100.0] * 15},
        gives=False,
        source="single bursts do not move a median",
    ),
    Example(given={"miner_to_exchange_btc": [0.0] * 90 + [1.0] * 28}, gives=True, source="a series that begins"),
    Example(given={"miner_to_exchange_btc": [0.0] * 118}, gives=False, source="nothing before and nothing now"),
    Example(given={"miner_to_exchange_btc": [100.0] * 90 + [None] * 3 + [300.0] * 25}, gives=True),
    Example(given={"miner_to_exchange_btc": [100.0] * 90 + [None] * 4 + [300.0] * 24}, gives=None),
    Example(given={"miner_to_exchange_btc": [None] * 10 + [100.0] * 80 + [300.0] * 28}, gives=None),
    unit=Unit.YES_NO,
    error="Late by about two weeks; a break below a factor of three is not seen. The limit is our judgement.",
    null_rule="NULL with fewer than 25 of 28 days of flow, or 81 of the 90 before.",
    history_days=RECENT_DAYS + QUARTER_DAYS,
)
def flow_break_suspected() -> pl.Expr:
    """Whether the labels behind the flow seem to have changed: its median moved by a factor of three in a quarter."""
    return _break_suspected(pl.col("miner_to_exchange_btc"))


@metric(
    Example(
        given={
            "flow_regime_dated_on": [None, FIRST],
            "flow_break_suspected": False,
            "miner_to_exchange_btc": [1.0, 2.0],
        },
        gives=FIRST,
    ),
    Example(
        given={
            "flow_regime_dated_on": None,
            "flow_break_suspected": [None, False, False],
            "miner_to_exchange_btc": [None, 1.0, 2.0],
        },
        gives=date(2024, 6, 2),
        source="nothing dated and nothing suspected: one regime since the first day",
    ),
    Example(
        given={
            "flow_regime_dated_on": FIRST,
            "flow_break_suspected": [False] * 40 + [True, False, True],
            "miner_to_exchange_btc": [1.0] * 43,
        },
        gives=date(2024, 6, 14),
        source="27 days before 2024-07-11, the first day of the run",
    ),
    Example(
        given={
            "flow_regime_dated_on": FIRST,
            "flow_break_suspected": [True] + [False] * 89 + [True],
            "miner_to_exchange_btc": [1.0] * 91,
        },
        gives=FIRST,
        source="89 quiet days end no run, and it began before the dated start",
    ),
    Example(
        given={
            "flow_regime_dated_on": FIRST,
            "flow_break_suspected": [True] + [False] * 90 + [True],
            "miner_to_exchange_btc": [1.0] * 92,
        },
        gives=date(2024, 8, 4),
        source="90 quiet days do: a new run from 2024-08-31 on",
    ),
    Example(
        given={"flow_regime_dated_on": None, "flow_break_suspected": None, "miner_to_exchange_btc": [None, None]},
        gives=None,
    ),
    unit=Unit.DAY,
    error="A day before a break was known does not know of it.",
    null_rule="NULL before the first day on which the source states the flow.",
)
def flow_regime_start() -> pl.Expr:
    """First day of the present regime of flows to exchanges, as it was known: dated in `flow_regime`, or suspected."""
    stated = pl.col("miner_to_exchange_btc").is_not_null()
    first_stated = pl.col("day").filter(stated).min()
    known = pl.max_horizontal("flow_regime_dated_on", _suspected_start(pl.col("flow_break_suspected")))
    return pl.when(pl.col("day") >= first_stated).then(pl.coalesce(known, first_stated))


@metric(
    Example(given={"miner_to_exchange_btc": [5_000.0] * 30}, gives=150_000.0),
    Example(given={"miner_to_exchange_btc": [None] * 4 + [5_000.0] * 26}, gives=None),
    unit=Unit.BTC,
    error=LABELS_ERROR + LOWER_BOUND + " Coins that are sent twice count twice.",
    null_rule="NULL with fewer than 27 of 30 days of flow.",
    ge=0,
    history_days=MONTH_DAYS,
)
def miner_to_exchange_30d_btc() -> pl.Expr:
    """Coins that miner wallets sent to exchanges, summed over thirty days."""
    return sum_over(pl.col("miner_to_exchange_btc"), MONTH_DAYS)


def _ranks(days: pl.Series) -> Iterator[float | None]:
    """Yield the rank of each day; a walk, because a regime may reach back further than the day it became known."""
    rows = list(zip(*(days.struct.field(name) for name in days.struct.fields), strict=True))
    since: date | None = None
    ranked: list[float] = []
    for number, (day, start, total) in enumerate(rows):
        first = start and start + timedelta(days=MONTH_DAYS - 1)
        if start != since:
            since = start
            ranked = sorted(sent for on, _, sent in rows[:number] if first and on >= first and sent is not None)
        if first is None or day < first or total is None:
            yield None
            continue
        insort(ranked, total)
        enough = len(ranked) >= LEAST_RANKED_DAYS
        yield PERCENT * bisect_right(ranked, total) / len(ranked) if enough else None


@metric(
    Example(
        given={
            "flow_regime_start": FIRST,
            "flow_break_suspected": False,
            "miner_to_exchange_30d_btc": [0.0] * 29 + [100.0 + n for n in range(199)] + [118.5],
        },
        gives=10.0,
        source="19 of 199 days before are at most that much, and so is the day itself: 20 of 200",
    ),
    Example(
        given={
            "flow_regime_start": FIRST,
            "flow_break_suspected": False,
            "miner_to_exchange_30d_btc": [0.0] * 29 + [7.0] * 180,
        },
        gives=100.0,
        source="180 sums are enough, and equal ones count",
    ),
    Example(
        given={
            "flow_regime_start": FIRST,
            "flow_break_suspected": False,
            "miner_to_exchange_30d_btc": [0.0] * 29 + [7.0] * 179,
        },
        gives=None,
    ),
    Example(
        given={
            "flow_regime_start": [date(2020, 1, 1)] * 300 + [date(2024, 8, 1)],
            "flow_break_suspected": False,
            "miner_to_exchange_30d_btc": [9.0] * 90 + [1.0] * 210 + [2.0],
        },
        gives=100.0,
        source="the regime that became known today began 240 days ago: sums from before do not count",
    ),
    Example(
        given={
            "flow_regime_start": FIRST,
            "flow_break_suspected": True,
            "miner_to_exchange_30d_btc": [7.0] * 240,
        },
        gives=None,
    ),
    unit=Unit.PERCENT,
    error=LABELS_ERROR + WITHIN,
    null_rule="NULL with fewer than 180 sums of thirty days in the regime, or while a break is suspected.",
    ge=0,
    le=100,
    history_days=OLD_ENOUGH_DAYS,
)
def miner_to_exchange_30d_rank_pct() -> pl.Expr:
    """Share of the regime's days up to today whose thirty-day flow to exchanges is at most today's."""
    read = pl.struct("day", "flow_regime_start", "miner_to_exchange_30d_btc")
    ranked = read.map_batches(lambda days: pl.Series(_ranks(days), dtype=pl.Float64), return_dtype=pl.Float64)
    return pl.when(within_regime(MONTH_DAYS)).then(ranked)


@metric(
    Example(
        given={
            "flow_regime_start": FIRST,
            "flow_break_suspected": False,
            "miner_to_exchange_btc": [6_880.9] * 90 + [5_741.8] * 30,
            "miner_to_exchange_30d_btc": 172_255.0,
        },
        gives=0.83,
        within=0.005,
        source="172,255 BTC against 206,427 a month",
    ),
    Example(
        given={
            "flow_regime_start": date(2024, 6, 2),
            "flow_break_suspected": False,
            "miner_to_exchange_btc": [1.0] * 120,
            "miner_to_exchange_30d_btc": 30.0,
        },
        gives=None,
        source="a day of another regime among the 120",
    ),
    Example(
        given={
            "flow_regime_start": FIRST,
            "flow_break_suspected": True,
            "miner_to_exchange_btc": [1.0] * 120,
            "miner_to_exchange_30d_btc": 30.0,
        },
        gives=None,
    ),
    Example(
        given={
            "flow_regime_start": FIRST,
            "flow_break_suspected": False,
            "miner_to_exchange_btc": [None] * 10 + [1.0] * 110,
            "miner_to_exchange_30d_btc": 30.0,
        },
        gives=None,
        source="80 of the 90 days before are too few",
    ),
    unit=Unit.RATIO,
    error=LABELS_ERROR + WITHIN,
    null_rule="NULL before day 120 of the regime, while a break is suspected, or with too few of the days.",
    ge=0,
    history_days=MONTH_DAYS + QUARTER_DAYS,
)
def miner_to_exchange_30d_of_prior_90d_ratio() -> pl.Expr:
    """Flow to exchanges of thirty days over that of a mean thirty days of the ninety before."""
    before = sum_over(pl.col("miner_to_exchange_btc"), QUARTER_DAYS).shift(MONTH_DAYS) / MONTHS_PER_QUARTER
    inside = within_regime(MONTH_DAYS + QUARTER_DAYS)
    return pl.when(inside).then(ratio(pl.col("miner_to_exchange_30d_btc"), before))


@metric(
    Example(given={"miner_to_exchange_btc": [99.0] + [3.0] * 19 + [10.0] + [3.0] * 10}, gives=10.0),
    unit=Unit.BTC,
    error=LABELS_ERROR + LOWER_BOUND,
    null_rule="NULL with fewer than 27 of 30 days of flow.",
    ge=0,
    history_days=MONTH_DAYS,
)
def miner_to_exchange_max_30d_btc() -> pl.Expr:
    """Largest flow to exchanges on a single day of the last thirty."""
    return max_over(pl.col("miner_to_exchange_btc"), MONTH_DAYS)


@metric(
    Example(
        given={
            "flow_regime_start": FIRST,
            "flow_break_suspected": False,
            "miner_revenue_btc": [440.25] * 30,
            "miner_netflow_btc": [-49.1] * 30,
        },
        gives=14_680.5,
        source="13,207.5 earned, and 1,473 less in the wallets",
    ),
    Example(
        given={
            "flow_regime_start": date(2024, 6, 2),
            "flow_break_suspected": False,
            "miner_revenue_btc": [440.25] * 30,
            "miner_netflow_btc": [-49.1] * 30,
        },
        gives=None,
        source="what changed its label within the month would count as coins",
    ),
    Example(
        given={
            "flow_regime_start": FIRST,
            "flow_break_suspected": True,
            "miner_revenue_btc": [440.25] * 30,
            "miner_netflow_btc": [-49.1] * 30,
        },
        gives=None,
    ),
    Example(
        given={
            "flow_regime_start": FIRST,
            "flow_break_suspected": False,
            "miner_revenue_btc": [440.25] * 30,
            "miner_netflow_btc": [None] * 4 + [-49.1] * 26,
        },
        gives=None,
    ),
    unit=Unit.BTC,
    error=LABELS_ERROR + "An upper bound of what these wallets sold on balance: coins may leave without being sold.",
    null_rule=(
        "NULL with fewer than 27 of 30 days of revenue or netflow, before day 30 of the regime, or while a break is "
        "suspected."
    ),
    history_days=MONTH_DAYS,
)
def miner_net_release_30d_btc() -> pl.Expr:
    """Coins that left miner wallets on balance over thirty days: revenue less what the wallets gained."""
    released = sum_over(pl.col("miner_revenue_btc"), MONTH_DAYS) - sum_over(pl.col("miner_netflow_btc"), MONTH_DAYS)
    return pl.when(within_regime(MONTH_DAYS)).then(released)


COMPARED: Final = (
    "miner_to_exchange_30d_rank_pct",
    "miner_to_exchange_30d_of_prior_90d_ratio",
    "miner_to_exchange_burst_score",
    "miner_to_exchange_burst",
    "miner_net_release_30d_btc",
)
"""Columns that are NULL for one of `REASONS` or known."""
_KNOWN: Final[dict[str, Scalar]] = {**dict.fromkeys(COMPARED, 1.0), "miner_to_exchange_burst": False}
_UNKNOWN: Final[dict[str, Scalar]] = dict.fromkeys(COMPARED)
_OLD: Final[dict[str, Scalar]] = {
    "flow_regime_start": date(2023, 6, 1),
    "flow_break_suspected": False,
    "miner_to_exchange_30d_btc": 9.0,
}


@metric(
    Example(given=_OLD | _KNOWN, gives=None),
    Example(given=_OLD | _UNKNOWN | {"miner_to_exchange_30d_btc": None, "flow_regime_start": None}, gives="no_source"),
    Example(
        given=_OLD | _KNOWN | {"miner_net_release_30d_btc": None}, gives="no_source", source="nobody states netflow"
    ),
    Example(given=_OLD | _UNKNOWN | {"flow_break_suspected": True}, gives="break_suspected"),
    Example(
        given=_OLD | _KNOWN | {"miner_to_exchange_30d_rank_pct": None, "flow_regime_start": date(2023, 11, 6)},
        gives="no_source",
        source="the 209th day: old enough for 180 sums, so days are missing",
    ),
    Example(
        given=_OLD | _KNOWN | {"miner_to_exchange_30d_rank_pct": None, "flow_regime_start": date(2023, 11, 7)},
        gives="regime_too_young",
    ),
    unit=Unit.LABEL,
    error="Exact.",
    null_rule="NULL when rank, ratio, burst, its score and the net release are all known.",
    labels=REASONS,
)
def flow_null_reason() -> pl.Expr:
    """Why a rank, ratio, burst or net release of flows is NULL: no source, a suspected break, or too young a regime."""
    age = (pl.col("day") - pl.col("flow_regime_start")).dt.total_days() + 1
    reason = (
        pl.when(pl.col("miner_to_exchange_30d_btc").is_null())
        .then(pl.lit("no_source"))
        .when(pl.col("flow_break_suspected"))
        .then(pl.lit("break_suspected"))
        .when(age < OLD_ENOUGH_DAYS)
        .then(pl.lit("regime_too_young"))
        .otherwise(pl.lit("no_source"))
    )
    return pl.when(pl.any_horizontal(pl.col(name).is_null() for name in COMPARED)).then(reason)


@metric(
    Example(
        given={"mpi_zscore": [1.0], "outflow_regime_dated_on": [date(2022, 6, 3)], "miner_outflow_btc": [9.0]},
        gives=True,
        source="the 730th day",
    ),
    Example(
        given={"mpi_zscore": [1.0], "outflow_regime_dated_on": [date(2022, 6, 2)], "miner_outflow_btc": [9.0]},
        gives=False,
    ),
    Example(
        given={
            "mpi_zscore": [1.0] * 119,
            "outflow_regime_dated_on": date(2016, 9, 1),
            "miner_outflow_btc": [100.0] * 90 + [300.0] * 29,
        },
        gives=True,
        source="a break that nobody has dated",
    ),
    Example(given={"mpi_zscore": [None], "outflow_regime_dated_on": FIRST, "miner_outflow_btc": [9.0]}, gives=None),
    unit=Unit.YES_NO,
    error="A dated break counts from its first day on, whenever it became known.",
    null_rule="NULL when the index is.",
    history_days=2 * YEAR_DAYS,
)
def mpi_spans_break() -> pl.Expr:
    """Whether the 730 days behind the Miners' Position Index hold the start of a regime of outflows."""
    suspected = _suspected_start(_break_suspected(pl.col("miner_outflow_btc")))
    newest = pl.max_horizontal("outflow_regime_dated_on", suspected)
    spans = (pl.col("day") - newest).dt.total_days() < 2 * YEAR_DAYS
    return pl.when(pl.col("mpi_zscore").is_not_null()).then(spans.fill_null(False))


METRICS = (
    mpi_spans_break,
    miner_to_exchange_30d_btc,
    miner_to_exchange_30d_rank_pct,
    miner_to_exchange_30d_of_prior_90d_ratio,
    miner_to_exchange_max_30d_btc,
    miner_net_release_30d_btc,
    flow_regime_start,
    flow_break_suspected,
    flow_null_reason,
)
