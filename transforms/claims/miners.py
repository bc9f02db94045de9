"""What the article states about miners' income and coins. Tolerances are our judgement.

No figure of the data is written here: what the article gives is, and what it is set against is computed.
"""

from datetime import date, timedelta
from typing import Final

import polars as pl

from transforms.claims.evidence import DAY, Claim, Evidence, Finding, NotMeasurableError, graded
from transforms.metrics.flow_bursts import BURST_ZSCORE
from transforms.metrics.flow_regimes import QUARTER_DAYS
from transforms.metrics.miner_flows import MONTH_DAYS

JANUARY: Final = (date(2026, 1, 1), date(2026, 1, 31))
JANUARY_BEFORE: Final = (date(2025, 1, 1), date(2025, 1, 31))
MONTHS_BEFORE: Final = tuple(
    (date(2025, month, 1), date(2025, month, last)) for month, last in ((10, 31), (11, 30), (12, 31))
)
BEFORE_THE_RISE: Final = date(2025, 9, 30)
WEEK: Final = timedelta(days=6)
"""From the first to the last day of a week."""
RECENT: Final = timedelta(days=42)
"""What recent weeks are taken for."""

REVENUE_PCT: Final = -30.0
REVENUE_TOLERANCE_PCT: Final = 5.0
PUELL: Final = 0.69
PUELL_TOLERANCE: Final = 0.005
"""The article's figure has two decimals."""
INDEX_LIMIT: Final = 2.0
"""From here on most miners are taken to sell."""
SHARP_RISE: Final = 1.2
JANUARY_BTC: Final = 175_000.0
DAY_BTC: Final = 10_000.0
BTC_TOLERANCE: Final = 0.05
HIGH_RANK_PCT: Final = 80.0
CAPITULATIONS: Final = ("capitulation", "deep_capitulation")
LEAST_EPISODES: Final = 3
"""Fewer are no comparison at all."""
LEAST_SHARE_PCT: Final = 50.0
"""A sign that comes before lows holds on most of the days of stress, and most of its days are such days."""


def _share_up_to(values: pl.Series, value: float) -> float:
    """Percent of the known `values` that are at most `value`."""
    known = values.drop_nulls()
    return 100 * int((known <= value).sum()) / known.len()


def _revenue(given: Evidence) -> Finding:
    single, weekly = given.on("revenue_change_30d_raw_pct", DAY), given.on("revenue_change_30d_pct", DAY)
    zone = given.on("sustainability_zone", DAY)
    zones = given.days("sustainability_zone", last=DAY)["value"].drop_nulls()
    near = abs(single - REVENUE_PCT) <= REVENUE_TOLERANCE_PCT and zone == "extremely_underpaid"
    return Finding(
        figure=single,
        verdict=graded(near, single < 0),
        finding=f"{single:+.1f} % on the single day, {weekly:+.1f} % on 7-day means; zone {zone.replace('_', ' ')}.",
        left_out=(
            "Block luck by itself moves single days by 12 percentage points and 7-day means by 4.5. The zone held on "
            f"{int((zones == zone).sum()):,} of {zones.len():,} days up to then."
        ),
    )


def _puell(given: Evidence) -> Finding:
    week = given.over("puell_issuance_ratio", DAY - WEEK, DAY).to_list()
    value, day = min(
        ((value, DAY - WEEK + timedelta(days=n)) for n, value in enumerate(week)), key=lambda each: abs(each[0] - PUELL)
    )
    before = given.days("puell_issuance_ratio", last=day)["value"]
    return Finding(
        figure=value,
        verdict=graded(abs(value - PUELL) <= PUELL_TOLERANCE, value < 1),
        finding=f"{value:.3f} on {day}, {week[-1]:.3f} on {DAY}.",
        left_out=(
            f"One day's price and number of blocks move it: {min(week):.2f} to {max(week):.2f} within the week. "
            f"{_share_up_to(before, value):.0f} % of all days up to then had no more."
        ),
    )


def _index(given: Evidence) -> Finding:
    before, january, now = (given.mean("mpi_zscore", day - WEEK, day) for day in (DAY - RECENT, JANUARY[1], DAY))
    spans = given.on("mpi_spans_break", DAY)
    return Finding(
        figure=now,
        verdict=graded(now > before and now >= INDEX_LIMIT, now > before),
        finding=(
            f"7-day mean {before:+.2f} on {DAY - RECENT}, {january:+.2f} on {JANUARY[1]}, {now:+.2f} on {DAY}; "
            f"single day {given.on('mpi_zscore', DAY):+.1f}."
        ),
        left_out=(
            f"0 is the mean of the year before, and from {INDEX_LIMIT:.0f} on miners are taken to sell."
            f"{' The window spans a change of labels.' if spans else ''}"
        ),
    )


def _mean_transfer(given: Evidence) -> Finding:
    name, end = "miner_to_exchange_mean_btc", JANUARY[1]
    month = timedelta(days=MONTH_DAYS - 1)
    before, now = (given.mean(name, day - month, day) for day in (BEFORE_THE_RISE, end))
    rank = _share_up_to(given.days(name, given.on("flow_regime_start", end), end)["value"], given.on(name, end))
    counts, sums = (
        [given.total(column, *month) for month in (JANUARY_BEFORE, JANUARY)]
        for column in ("miner_to_exchange_count", "miner_to_exchange_btc")
    )
    return Finding(
        figure=now,
        verdict=graded(now >= SHARP_RISE * before, now > before),
        finding=(
            f"30-day mean {before:.1f} BTC on {BEFORE_THE_RISE}, {now:.1f} on {end}; {rank:.0f} % of the days of the "
            "regime had no more than that single day."
        ),
        left_out=(
            f"January had {counts[1]:,.0f} transactions of {sums[1]:,.0f} BTC, the January before {counts[0]:,.0f} of "
            f"{sums[0]:,.0f}: a mean also rises when transactions become fewer."
        ),
    )


def _january(given: Evidence) -> Finding:
    end = JANUARY[1]
    before = ", ".join(f"{given.total('miner_to_exchange_btc', *month):,.0f}" for month in MONTHS_BEFORE)
    sent = given.total("miner_to_exchange_btc", *JANUARY)
    total, rank = given.on("miner_to_exchange_30d_btc", end), given.on("miner_to_exchange_30d_rank_pct", end)
    of_quarter = given.on("miner_to_exchange_30d_of_prior_90d_ratio", end)
    released = given.total("miner_revenue_btc", *JANUARY) - given.total("miner_netflow_btc", *JANUARY)
    is_elevated = rank >= HIGH_RANK_PCT and of_quarter > 1
    compared = f"less than on {100 - rank:.0f} %" if rank < 50 else f"at least as much as on {rank:.0f} %"
    return Finding(
        figure=sent,
        verdict=graded(is_elevated and abs(sent / JANUARY_BTC - 1) <= BTC_TOLERANCE, is_elevated),
        finding=(
            f"{sent:,.0f} BTC in January, to all exchanges together. {total:,.0f} BTC in the 30 days to {end} is "
            f"{compared} of the days since the series changed on {given.on('flow_regime_start', end)}."
        ),
        left_out=(
            f"October to December had {before} BTC; the 30 days are {of_quarter:.2f} of a month of the {QUARTER_DAYS} "
            f"days before. Coins that are sent twice count twice: {released:,.0f} BTC left miners' wallets on balance, "
            "the most that can have been sold."
        ),
    )


def _largest_day(given: Evidence) -> Finding:
    name = "miner_to_exchange_btc"
    largest, day = _largest(given)
    since = given.on("flow_regime_start", JANUARY[1])
    regime = given.days(name, since)["value"].drop_nulls()
    after = max(given.over(name, JANUARY[1] + timedelta(days=1), DAY).to_list())
    return Finding(
        figure=largest,
        verdict=graded(abs(largest / DAY_BTC - 1) <= BTC_TOLERANCE, largest > DAY_BTC),
        finding=f"Largest day of January {largest:,.0f} BTC, on {day}.",
        left_out=(
            f"{int((regime >= DAY_BTC).sum())} of {regime.len():,} days since {since} had {DAY_BTC:,.0f} BTC or more. "
            f"The largest of the days after, up to {DAY}, had {after:,.0f} BTC."
        ),
    )


def _largest(given: Evidence) -> tuple[float, date]:
    """The largest flow of January, and its day."""
    flows = given.over("miner_to_exchange_btc", *JANUARY).to_list()
    return max((flow, JANUARY[0] + timedelta(days=n)) for n, flow in enumerate(flows))


def _bursts(given: Evidence) -> Finding:
    _, day = _largest(given)
    score, later = (given.on("miner_to_exchange_burst_score", each) for each in (day, DAY))
    bursts = given.total("miner_to_exchange_burst", *JANUARY)
    all_bursts = given.days("miner_to_exchange_burst", last=DAY).filter("value")["day"].to_list()
    last = f"The last burst was on {all_bursts[-1]}" if all_bursts else "There was no burst before"
    return Finding(
        figure=score,
        verdict=graded(bursts > 1, bursts == 1),
        finding=(
            f"{bursts:.0f} bursts in January, which begin at a score of {BURST_ZSCORE}; the largest day, {day}, has "
            f"{score:.1f}."
        ),
        left_out=f"{last}. {DAY} has a score of {later:.1f}.",
    )


def _capitulation(given: Evidence) -> Finding:
    score, state = given.on("capitulation_score", DAY), given.on("capitulation_state", DAY)
    days = given.days("capitulation_state", last=DAY).drop_nulls("value")
    held = days["value"].is_in(CAPITULATIONS)
    begins = days["day"].filter(held & ~held.shift(fill_value=False)).to_list()
    is_one = state in CAPITULATIONS
    return Finding(
        figure=score,
        verdict=graded(is_one, state not in ("normal", "recovery")),
        finding=f"{score:.0f} of 100 points, {state.replace('_', ' ')}{f', since {begins[-1]}' if is_one else ''}.",
        left_out=(
            f"{int(held.sum()):,} of {days.height:,} days up to then were days of capitulation, in {len(begins)} runs. "
            "Price, difficulty and blocks decide the state; no selling does."
        ),
    )


def _precede(given: Evidence) -> Finding:
    selling, income, ours = "miners_position_index", "revenue_change", "capitulation"
    episodes = given.of("episode_count", "rule", ours)
    if episodes < LEAST_EPISODES:
        raise NotMeasurableError(f"The days hold {episodes} episodes of stress, fewer than {LEAST_EPISODES}.")
    recall, precision = (
        {rule: given.of(column, "rule", rule) for rule in (selling, income, ours)}
        for column in ("recall_pct", "precision_pct")
    )
    holds = [min(recall[rule], precision[rule]) >= LEAST_SHARE_PCT for rule in (selling, income)]
    return Finding(
        figure=recall[selling],
        verdict=graded(all(holds), any(holds)),
        finding=(
            f"A Miners' Position Index of {INDEX_LIMIT:.0f} or more held on {recall[selling]:.0f} % of the days of "
            f"stress, revenue a fifth below a month before on {recall[income]:.0f} %; of the days with such a sign "
            f"{precision[selling]:.0f} and {precision[income]:.0f} % were days of stress."
        ),
        left_out=(
            f"{episodes} episodes are case studies, no proof. Income and hash rate together held on "
            f"{recall[ours]:.0f} % of the days of stress, and {precision[ours]:.0f} % of their days were such days."
        ),
    )


def _of_days(*columns: str) -> tuple[str, ...]:
    return tuple(f"capitulation_daily.{column}" for column in columns)


CLAIMS: Final = (
    Claim(
        name="revenue_below_a_month_before",
        statement=(
            "Profit/loss sustainability is at -30: daily revenue is about 30 % below a month before, and miners are "
            "extremely underpaid."
        ),
        day=DAY,
        article_figure=REVENUE_PCT,
        columns=_of_days("revenue_change_30d_raw_pct", "revenue_change_30d_pct", "sustainability_zone"),
        judge=_revenue,
    ),
    Claim(
        name="puell_multiple",
        statement="The Puell Multiple is 0.69.",
        day=DAY,
        article_figure=PUELL,
        columns=_of_days("puell_issuance_ratio"),
        judge=_puell,
    ),
    Claim(
        name="position_index_up",
        statement="The Miners' Position Index rose sharply in recent weeks.",
        day=DAY,
        columns=_of_days("mpi_zscore", "mpi_spans_break"),
        judge=_index,
    ),
    Claim(
        name="mean_inflow_up",
        statement="The mean inflow of exchanges from miners rose sharply.",
        day=JANUARY[1],
        columns=_of_days(
            "miner_to_exchange_mean_btc", "miner_to_exchange_count", "miner_to_exchange_btc", "flow_regime_start"
        ),
        judge=_mean_transfer,
    ),
    Claim(
        name="sent_in_january",
        statement="Miners moved about 175,000 BTC to one exchange in January, notably more than in calmer periods.",
        day=JANUARY[1],
        article_figure=JANUARY_BTC,
        columns=_of_days(
            "miner_to_exchange_btc",
            "miner_to_exchange_30d_btc",
            "miner_to_exchange_30d_rank_pct",
            "miner_to_exchange_30d_of_prior_90d_ratio",
            "miner_netflow_btc",
            "miner_revenue_btc",
            "flow_regime_start",
        ),
        judge=_january,
    ),
    Claim(
        name="largest_day",
        statement="Single days came near 10,000 BTC.",
        day=JANUARY[1],
        article_figure=DAY_BTC,
        columns=_of_days("miner_to_exchange_btc", "flow_regime_start"),
        judge=_largest_day,
    ),
    Claim(
        name="sudden_bursts",
        statement="The coins went in sudden bursts.",
        day=JANUARY[1],
        columns=_of_days("miner_to_exchange_burst_score", "miner_to_exchange_burst", "miner_to_exchange_btc"),
        judge=_bursts,
    ),
    Claim(
        name="capitulation",
        statement="Miners capitulate.",
        day=DAY,
        columns=_of_days("capitulation_score", "capitulation_state"),
        judge=_capitulation,
    ),
    Claim(
        name="before_cycle_lows",
        statement="Peaks of selling and extreme underpayment have come before the lows of cycles.",
        day=DAY,
        columns=tuple(f"rule_comparison.{column}" for column in ("recall_pct", "precision_pct", "episode_count")),
        judge=_precede,
    ),
)
