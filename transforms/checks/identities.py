"""What follows of one figure from others: by consensus, and because coins that flow are neither made nor lost."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import polars as pl

from schemas.check import Check, CheckFacts
from transforms.checks.days import LABELLED_TIMES, NORMAL_TIMES, RECENT_DAYS, none_broken

SUPPLY_GROWS: Final = CheckFacts(
    name="supply never falls",
    severity="error",
    window="all days",
    reason="No rule of the chain takes coins away.",
    fault="supply times 0.9 on the last day",
)
SUPPLY_IS_ISSUANCE: Final = CheckFacts(
    name="supply grows by the issuance",
    severity="error",
    window="each day since 2013",
    reason=(
        "Coin Metrics' own two figures were never more than 1.8 % apart, by coins that it counts as lost; 20 % leaves "
        "room for vendors that end their days at another block."
    ),
    fault="supply times 1.001 on one day",
)
ZERO_TOGETHER: Final = CheckFacts(
    name="count and flow are zero together",
    severity="error",
    window="all days",
    reason="Coins move in transactions, and a transaction moves coins; recorded data has no exception.",
    fault="count 0 with flow above 0",
)
MEAN: Final = CheckFacts(
    name="stated mean times count is the flow",
    severity="error",
    window="each day since 2014",
    reason="One vendor's three figures of the same transactions; recorded ones agree to 1e-5.",
    fault="flow times 0.001 over all history; count times 10",
)
LARGEST: Final = CheckFacts(
    name="the ten largest are no more than all",
    severity="error",
    window="all days",
    reason="A part is no more than the whole.",
    fault="flow times 0.001 over all history",
)
RESERVE: Final = CheckFacts(
    name="reserve changes by inflow less outflow",
    severity="error",
    window="each day since 2014, of exchanges",
    reason=(
        "CryptoQuant's three figures agree to the satoshi on every day. Checked where a vendor's do on nine days of "
        "ten at least: others count reserves otherwise."
    ),
    fault="inflow or reserve times 10 over some days",
)
MINER_RESERVE: Final = CheckFacts(
    name="reserve changes by inflow less outflow",
    severity="warning",
    window="each day since 2014, of miners",
    reason=(
        "A wallet that gains or loses the label of a miner changes the reserve without a flow, which a reader of its "
        "change should know. Checked where it holds on nine days of ten at least."
    ),
    fault="inflow or reserve times 10 over some days",
)
NETFLOW: Final = CheckFacts(
    name="netflow is inflow less outflow",
    severity="warning",
    window="each day since 2014",
    reason=(
        "CryptoQuant's own definition; an own node takes off the fees too, thousandths of the flows. Only a warning: "
        "few recorded days have all three."
    ),
    fault="netflow of another group of wallets or another sign",
)
BALANCE: Final = CheckFacts(
    name="out is within five times of in over 30 days",
    severity="error",
    window="each 30 days since 2014, from the second year of a series on",
    reason=(
        "Coins that leave must have come. Recorded ratios of 30 days are 0.66 to 2.1 for miners and 0.31 to 1.7 for "
        "exchanges; outside of 0.2 to 5 one side is another unit."
    ),
    fault="outflow times 1,000 over 322 days or over all history",
)
RECENT_BALANCE: Final = CheckFacts(
    name="out is within 2.5 times of in lately",
    severity="warning",
    window="30 days up to each of the last 30",
    reason="Beyond 0.5 to 2.5 only in 2014, when a vendor came to know wallets of one side before the other's.",
    fault="inflow times 3",
)
FEES: Final = CheckFacts(
    name="fees are reward less issuance",
    severity="error",
    window="each 7 days since 2014",
    reason=(
        "Two vendors' figures were 0.89 to 1.18 of each other over 7 days; outside of 0.67 to 1.5 more is wrong than a "
        "block at midnight."
    ),
    fault="fees times 10 to 100 on one day or all",
)
SAME_FEES: Final = CheckFacts(
    name="agrees with the published fees over a week",
    severity="error",
    window="each 7 days since 2014",
    reason=(
        "Coin Metrics' fees of a day are those of blocks four heights later: single days are 1 % apart at the median, "
        "96 % at most, weeks 0.89 to 1.18 of each other. Outside of 0.67 to 1.5 one of the two is wrong."
    ),
    fault="fees times 10 to 100 on one day or all, in a source that is not published",
)
CATALOGUE: Final = (
    *(SUPPLY_GROWS, SUPPLY_IS_ISSUANCE, ZERO_TOGETHER, MEAN, LARGEST, RESERVE, MINER_RESERVE, NETFLOW, BALANCE),
    *(RECENT_BALANCE, FEES, SAME_FEES),
)

SUPPLY_TOLERANCE: Final = 0.2
MEAN_TOLERANCE: Final = 1e-3
ROUNDING: Final = 1e-6
NETFLOW_TOLERANCE: Final = 0.01
KEPT_SHARE: Final = 0.9
BALANCE_DAYS: Final = 30
LEARNING_DAYS: Final = 365
MOST_BALANCE: Final = 5
USUAL_BALANCE: Final = (0.5, 2.5)
FEE_DAYS: Final = 7
MOST_FEE_RATIO: Final = 1.5
PARTS: Final = {
    "miner_outflow_top10_sat": "miner_outflow_sat",
    "exchange_inflow_top10_sat": "exchange_inflow_sat",
}
FLOWS: Final = {
    "miners": ("miner_outflow_sat", "miner_inflow_sat"),
    "exchanges": ("exchange_outflow_sat", "exchange_inflow_sat"),
}
RESERVES: Final = {
    "miners": ("miner_reserve_sat", MINER_RESERVE),
    "exchanges": ("exchange_reserve_sat", RESERVE),
}


def check_identities(days: pl.DataFrame, chosen: Mapping[str, str]) -> Iterator[Check]:
    """Check the resolved `days`, one column a series; `chosen` is the supplier of each.

    What is one vendor's own arithmetic is checked where all of it comes from one vendor.
    """

    def from_one(*series: str) -> bool:
        return len({chosen.get(name) for name in series}) == 1 and series[0] in chosen

    yield from _supply(days, chosen)
    if from_one("miner_to_exchange_sat", "miner_to_exchange_count"):
        yield from _transactions(days, with_mean=from_one("miner_to_exchange_sat", "miner_to_exchange_mean_sat"))
    for part, whole in PARTS.items():
        if from_one(part, whole):
            holds = pl.col(part) <= pl.col(whole) * (1 + ROUNDING)
            yield none_broken(days, LARGEST.of(whole), LARGEST.severity, holds, "a part up to the whole")
    for who, (out, into) in FLOWS.items():
        if from_one(out, into):
            yield from _balance(days, who, out, into)
    if from_one("miner_netflow_sat", "miner_inflow_sat", "miner_outflow_sat"):
        yield _netflow(days)
    for who, (reserve, facts) in RESERVES.items():
        out, into = FLOWS[who]
        if from_one(reserve, into, out):
            yield from _reserve(days, facts, who, pl.col(reserve), pl.col(into) - pl.col(out))
    if {"reward_sat", "issuance_sat", "fees_sat"} <= chosen.keys():
        yield _fees(days)


def _supply(days: pl.DataFrame, chosen: Mapping[str, str]) -> Iterator[Check]:
    if "supply_sat" not in chosen:
        return
    known = days.select("day", "supply_sat").drop_nulls()
    rises = pl.col("supply_sat") >= pl.col("supply_sat").shift()
    yield none_broken(known, SUPPLY_GROWS.name, SUPPLY_GROWS.severity, rises, "no less than on the day before")
    if "issuance_sat" in chosen:
        growth = days.select("day", "issuance_sat", pl.col("supply_sat").diff().alias("supply_growth_sat"))
        apart = (pl.col("supply_growth_sat") / pl.col("issuance_sat") - 1).abs()
        yield none_broken(
            growth.filter(pl.col("day") >= NORMAL_TIMES, pl.col("issuance_sat") > 0),
            SUPPLY_IS_ISSUANCE.name,
            SUPPLY_IS_ISSUANCE.severity,
            apart <= SUPPLY_TOLERANCE,
            f"within {SUPPLY_TOLERANCE:.0%}",
        )


def _transactions(days: pl.DataFrame, *, with_mean: bool) -> Iterator[Check]:
    flow, count = pl.col("miner_to_exchange_sat"), pl.col("miner_to_exchange_count")
    name = ZERO_TOGETHER.of("miner_to_exchange")
    yield none_broken(days, name, ZERO_TOGETHER.severity, (flow == 0) == (count == 0), "both zero or both above")
    if with_mean:
        apart = (pl.col("miner_to_exchange_mean_sat") * count / flow - 1).abs()
        yield none_broken(
            days.filter(pl.col("day") >= LABELLED_TIMES, flow > 0),
            MEAN.of("miner_to_exchange"),
            MEAN.severity,
            apart <= MEAN_TOLERANCE,
            f"within {MEAN_TOLERANCE:.1%}",
        )


def _balance(days: pl.DataFrame, who: str, out: str, into: str) -> Iterator[Check]:
    sums = (pl.col(name).rolling_sum(BALANCE_DAYS) for name in (out, into))
    ratio = next(sums) / next(sums)
    ratios = days.select("day", ratio.alias("out_over_in")).filter(pl.col("out_over_in").is_not_null())
    # Wallets become known in the first year of a series: coins leave that nobody saw come, or the other way round.
    ratios = ratios.slice(LEARNING_DAYS).filter(pl.col("day") >= LABELLED_TIMES)
    inside = pl.col("out_over_in").is_between(1 / MOST_BALANCE, MOST_BALANCE)
    yield none_broken(ratios, BALANCE.of(who), BALANCE.severity, inside, f"{1 / MOST_BALANCE:g} to {MOST_BALANCE}")
    low, high = USUAL_BALANCE
    usual = pl.col("out_over_in").is_between(low, high)
    recent = ratios.tail(RECENT_DAYS)
    yield none_broken(recent, RECENT_BALANCE.of(who), RECENT_BALANCE.severity, usual, f"{low} to {high}")


def _netflow(days: pl.DataFrame) -> Check:
    into, out = pl.col("miner_inflow_sat"), pl.col("miner_outflow_sat")
    apart = (pl.col("miner_netflow_sat") - (into - out)).abs()
    return none_broken(
        days.filter(pl.col("day") >= LABELLED_TIMES),
        NETFLOW.of("miners"),
        NETFLOW.severity,
        apart <= NETFLOW_TOLERANCE * (into + out) + 1,
        f"within {NETFLOW_TOLERANCE:.0%} of both flows",
    )


def _reserve(days: pl.DataFrame, facts: CheckFacts, who: str, reserve: pl.Expr, moved: pl.Expr) -> Iterator[Check]:
    apart = days.filter(pl.col("day") >= LABELLED_TIMES).select(
        "day", ((reserve.diff() - moved) / reserve).abs().alias("share_of_reserve")
    )
    apart = apart.drop_nulls()
    kept = pl.col("share_of_reserve") <= ROUNDING
    if apart.is_empty() or apart.select(kept.mean()).item() < KEPT_SHARE:
        return
    yield none_broken(apart, facts.of(who), facts.severity, kept, "equal")


def _fees(days: pl.DataFrame) -> Check:
    return _weekly_fees(days, pl.col("reward_sat") - pl.col("issuance_sat"), FEES.name)


def check_fees(values: pl.DataFrame, sources: Sequence[str], days: pl.DataFrame) -> Iterator[Check]:
    """Compare the fees that each of `sources` states with those of the resolved `days`: one check a source.

    `values`: long, (`source`, `series`, `day`, `value`).
    """
    stated = values.filter(series="fees_sat")
    for source in sources:
        theirs = stated.filter(source=source).select("day", pl.col("value").alias("theirs"))
        if theirs.height:
            both = days.select("day", "fees_sat").join(theirs, on="day", how="left", validate="1:1").sort("day")
            yield _weekly_fees(both, pl.col("theirs"), SAME_FEES.of(f"fees_sat: {source}"))


def _weekly_fees(days: pl.DataFrame, theirs: pl.Expr, name: str) -> Check:
    stated, fees = theirs.rolling_sum(FEE_DAYS), pl.col("fees_sat").rolling_sum(FEE_DAYS)
    # A test chain may have a week without a fee, about which both agree.
    ratio = pl.when(stated == fees).then(1.0).otherwise(stated / fees)
    ratios = days.select("day", ratio.alias("stated_over_fees")).filter(pl.col("day") >= LABELLED_TIMES)
    inside = pl.col("stated_over_fees").is_between(1 / MOST_FEE_RATIO, MOST_FEE_RATIO)
    expected = f"{1 / MOST_FEE_RATIO:.2f} to {MOST_FEE_RATIO} over a week"
    return none_broken(ratios.drop_nulls(), name, FEES.severity, inside, expected)
