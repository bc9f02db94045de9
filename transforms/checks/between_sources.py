"""Checks of one source against another, and of all against consensus. What a vendor gets wrong, another one shows."""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import Final

import polars as pl

from schemas.check import Check
from schemas.series import SERIES, Group
from transforms.calendar import FINALITY_BLOCKS
from transforms.chain import counted_days, subsidy_sat_expr, supply_sat_expr
from transforms.checks.days import MOST_NAMED, NORMAL_TIMES, none_broken

PRICE: Final = "price_usd"
CONFLICT_SHARE: Final = 0.05
JUDGED_BY_VENUE: Final = ("price_usd",)
"""Series of which every venue has its own by nature; `check_prices` decides how far they may be apart."""
LABELLED: Final = (Group.MINER_FLOWS, Group.EXCHANGE_FLOWS)
"""Series that depend on who a vendor knows: two of them differ by 100 % on every day."""
RECENT: Final = timedelta(days=30)
"""Venues did drift apart by a tenth in the early years; a publication is judged by the prices that are new in it."""
PRICE_TOLERANCE: Final = 0.02
"""Closes of two venues differ by some tenths of a percent; a stablecoin's venue by one or two in a bad week."""
PRICE_STOP: Final = 0.10
"""So far from every other venue no price of a day has been since 2014: it is another day's, or another unit's."""
MOST_STALE_BLOCKS: Final = FINALITY_BLOCKS
"""As many blocks of one source may be those of a branch that died between two fetches; more cannot be."""
UNCLAIMED_TOLERANCE: Final = 0.02
"""Miners who claim less than they may are rare, and take away single blocks."""
SAT_ROUNDING: Final = 0.5

OTHER_BLOCKS: Final = pl.Schema(
    {"source": pl.String, "height": pl.Int64, "subsidy_claimed_sat": pl.Int64, "fees_sat": pl.Int64}
)


def check_conflicts(conflicts: pl.DataFrame) -> Iterator[Check]:
    """Report where a second source disagrees with the chosen one: one check a series and other source."""
    for row in conflicts.filter(~pl.col("series").is_in(JUDGED_BY_VENUE)).iter_rows(named=True):
        share = row["conflict_count"] / row["compared_count"]
        judged = is_comparable(row["series"])
        yield Check(
            check_name=f"{row['series']}: {row['other_source']} agrees with {row['chosen_source']}",
            severity="warning" if judged else "notice",
            passed=share <= CONFLICT_SHARE or not judged,
            value=float(row["conflict_count"]),
            expected="differences above 0.1 % on at most 5 % of days" if judged else "",
            detail=(
                f"{row['conflict_count']} of {row['compared_count']} days differ; median "
                f"{row['median_difference_pct']:.4f} %, largest {row['largest_difference_pct']:.4f} %"
            ),
        )


def is_comparable(series: str) -> bool:
    """Whether two sources of `series` mean the same on each day.

    Flows depend on labels, a reported figure on its formula; fees are compared over weeks, by `check_fees`.
    """
    return SERIES[series].group not in LABELLED and not series.startswith("reported_") and series != "fees_sat"


def check_prices(values: pl.DataFrame, ranked: Sequence[str], chosen: str | None, through: date) -> Iterator[Check]:
    """Compare the chosen price with that of every other of the `ranked` venues, on the last days up to `through`.

    `values`: long, (`source`, `series`, `day`, `value`). A venue that is apart is a warning; a chosen price that is
    far from all other venues of its day is an error.
    """
    prices = values.filter((pl.col("series") == PRICE) & pl.col("source").is_in(ranked) & (pl.col("day") <= through))
    if chosen is None:
        return
    ours = prices.filter(pl.col("source") == chosen).select("day", pl.col("value").alias("ours"))
    compared = (
        prices.filter(pl.col("source") != chosen)
        .join(ours, on="day", how="inner", validate="m:1")
        .select("source", "day", (pl.col("value") / pl.col("ours") - 1).abs().alias("apart"))
        .sort("source", "day")
    )
    since = through - RECENT
    for (venue,), days in compared.group_by("source", maintain_order=True):
        recent = days.filter(pl.col("day") > since)
        largest = recent.sort("apart", descending=True).head(1)
        at = f"largest {largest['apart'].item():.2%} on {largest['day'].item()}" if largest.height else "none of them"
        yield Check(
            check_name=f"{PRICE}: {venue} agrees with {chosen}",
            severity="warning",
            passed=not (recent["apart"] > PRICE_TOLERANCE).any(),
            value=largest["apart"].item() * 100 if largest.height else None,
            expected=f"within {PRICE_TOLERANCE:.0%} on each of the last {RECENT.days} days",
            detail=(
                f"{recent.height} recent days compared, {at}; "
                f"{(days['apart'] > PRICE_TOLERANCE).sum()} of {days.height} days of all time are further apart"
            ),
        )
    if compared.is_empty():
        return
    nearest = compared.filter(pl.col("day") > since).group_by("day").agg(pl.col("apart").min()).sort("day")
    yield none_broken(
        nearest,
        f"{PRICE} is supported by another venue",
        "error",
        pl.col("apart") <= PRICE_STOP,
        f"within {PRICE_STOP:.0%} of the nearest other venue on each of the last {RECENT.days} days",
    )


def check_same_blocks(blocks: pl.DataFrame, source: str | None, others: pl.DataFrame) -> Iterator[Check]:
    """Compare what the source of the blocks and each other one say of the same heights, to the satoshi.

    `others` is of the schema `OTHER_BLOCKS`. The newest six heights are left out: the sources were read at different
    moments.
    """
    if others.is_empty() or blocks.is_empty():
        return
    cells = ("subsidy_claimed_sat", "fees_sat")
    buried = pl.col("height") <= blocks["height"].max() - pl.lit(FINALITY_BLOCKS)
    differs = pl.any_horizontal((pl.col(cell) != pl.col(f"{cell}_ours")).fill_null(False) for cell in cells)
    compared = (
        others.filter(buried)
        .join(blocks.select("height", *cells), on="height", how="inner", suffix="_ours", validate="m:1")
        .with_columns(differs.alias("differs"))
        .sort("source", "height")
    )
    for (other,), rows in compared.group_by("source", maintain_order=True):
        apart = rows.filter("differs")["height"]
        named = ", ".join(f"{height:,}" for height in apart.head(MOST_NAMED))
        yield Check(
            check_name=f"blocks: {other} agrees with {source}",
            severity="error" if apart.len() > MOST_STALE_BLOCKS else "warning",
            passed=apart.is_empty(),
            value=float(apart.len()),
            expected=f"equal subsidy and fees; more than {MOST_STALE_BLOCKS} that differ stop a publication",
            detail=f"{apart.len()} of {rows.height} heights differ" + (f": {named}" if named else ""),
        )


def check_claims(blocks: pl.DataFrame) -> Iterator[Check]:
    """Check that no block claims more than its height allows."""
    if blocks.is_empty():
        return
    greedy = blocks.filter(pl.col("subsidy_claimed_sat") > subsidy_sat_expr(pl.col("height")))["height"].sort()
    named = ", ".join(f"{height:,}" for height in greedy.head(MOST_NAMED))
    yield Check(
        check_name="no block claims more than its subsidy",
        severity="error",
        passed=greedy.is_empty(),
        value=float(greedy.len()),
        expected="the subsidy of the height",
        detail=f"{greedy.len()} of {blocks.height} blocks claim more" + (f": {named}" if named else ""),
    )


def check_issuance(days: pl.DataFrame) -> Iterator[Check]:
    """Check the issuance of each day against what its blocks may create, by the count of all blocks before.

    `days`: resolved, one row a day, with `block_count` and `issuance_sat`. Where the count does not begin with the
    chain or has a gap, nobody knows the heights, and nothing is checked. Coin Metrics' own counts agree with this to
    the satoshi, but for one block on each halving day: it does not count the genesis block.
    """
    counted = counted_days(days)
    if counted is None:
        return
    until = pl.col("block_count").cum_sum().cast(pl.Int64)
    before = until.shift(fill_value=0)
    # Whether the genesis block is counted nobody says, and it decides on which day a halving block lies.
    allowed = counted.with_columns(
        (supply_sat_expr(until) - supply_sat_expr(before)).alias("most_sat"),
        (supply_sat_expr(until + 1) - supply_sat_expr(before + 1)).alias("least_sat"),
    )
    yield none_broken(
        allowed,
        "issuance is no more than consensus allows",
        "error",
        pl.col("issuance_sat") <= pl.col("most_sat") + SAT_ROUNDING,
        "the subsidies of the heights by the count of blocks",
    )
    yield none_broken(
        allowed.filter(pl.col("day") >= NORMAL_TIMES),
        "issuance is what the blocks earn",
        "warning",
        pl.col("issuance_sat") >= (1 - UNCLAIMED_TOLERANCE) * pl.col("least_sat"),
        f"at most {UNCLAIMED_TOLERANCE:.0%} less than the subsidies since 2013",
    )
