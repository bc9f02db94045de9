"""Checks of finished tables: each says what it looked at, what it found and whether that stops a publication."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Final, Literal

import polars as pl

Severity = Literal["error", "warning", "notice"]

NORMAL_TIMES: Final = date(2013, 1, 1)
"""Before that blocks came in bursts that no later bound fits."""
BLOCKS_PER_DAY_HARD: Final = (40, 260)
BLOCKS_PER_DAY_USUAL: Final = (100, 200)
RETARGET_RATIO: Final = (0.25, 4.0)
PUELL_USUAL: Final = (0.0, 20.0)
REVENUE_CHANGE_USUAL_PCT: Final = (-95.0, 400.0)
MPI_USUAL: Final = (-5.0, 30.0)
HASHPRICE_TOLERANCE: Final = 0.15
SAME_SOURCE_TOLERANCE: Final = 1e-9
OTHER_SOURCE_TOLERANCE: Final = 0.01
CONFLICT_SHARE: Final = 0.05
JUDGED_BY_VENUE: Final = ("price_usd",)
"""Series of which every venue has its own by nature; `cross_checks` says how far they may be apart."""
MOST_NAMED: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One row of `meta.quality`."""

    check_name: str
    table_name: str
    severity: Severity
    passed: bool
    value: float | None
    expected: str
    detail: str

    @property
    def stops(self) -> bool:
        """Whether it stops a publication."""
        return self.severity == "error" and not self.passed

    @property
    def name(self) -> str:
        """What it is called, the same whatever it finds."""
        return f"{self.table_name}: {self.check_name}"

    def told(self) -> str:
        """The failure as part of a one-line message."""
        return f"{self.name} ({self.detail}; expected {self.expected})"


QUALITY: Final = pl.Schema(
    {
        "check_name": pl.String,
        "table_name": pl.String,
        "severity": pl.String,
        "passed": pl.Boolean,
        "value": pl.Float64,
        "expected": pl.String,
        "detail": pl.String,
    }
)


def as_frame(checks: Sequence[Check]) -> pl.DataFrame:
    """Rows of `meta.quality`."""
    return pl.DataFrame([asdict(check) for check in checks], schema=QUALITY)


def check_days(days: pl.DataFrame) -> Iterator[Check]:
    """Check the finished `capitulation_daily`, one row a day."""
    yield none_broken(
        days, "calendar has no gap", "error", pl.col("day").diff().dt.total_days().fill_null(1) == 1, "one row a day"
    )
    yield none_broken(
        days,
        "no final day after one that is not",
        "error",
        pl.col("is_final") <= pl.col("is_final").shift(fill_value=True),
        "is_final never returns to true",
    )
    modern = days.filter(pl.col("day") >= NORMAL_TIMES)
    limits: tuple[tuple[Severity, tuple[int, int]], ...] = (
        ("error", BLOCKS_PER_DAY_HARD),
        ("warning", BLOCKS_PER_DAY_USUAL),
    )
    for severity, (low, high) in limits:
        yield none_broken(
            modern,
            "blocks of a day",
            severity,
            pl.col("block_count").is_between(low, high),
            f"{low} to {high} since 2013",
        )
    step = pl.col("difficulty") / pl.col("difficulty").shift()
    least, greatest = RETARGET_RATIO
    yield none_broken(
        days,
        "difficulty moves within one retarget a day",
        "error",
        step.is_between(least, greatest),
        f"ratio {least} to {greatest}",
    )
    most = 50.0 / pl.lit(2.0).pow(pl.col("halving_count").shift(fill_value=0)) * pl.col("block_count")
    yield none_broken(
        days,
        "issuance is no more than allowed",
        "error",
        pl.col("issuance_btc") <= most * (1 + 1e-9),
        "the subsidy schedule",
    )
    usual = {
        "puell_issuance_ratio": PUELL_USUAL,
        "revenue_change_30d_pct": REVENUE_CHANGE_USUAL_PCT,
        "mpi_zscore": MPI_USUAL,
    }
    for column, (bottom, top) in usual.items():
        inside = pl.col(column).is_between(bottom, top, closed="none")
        yield none_broken(modern, f"{column} is usual", "warning", inside, f"between {bottom} and {top} since 2013")
    yield none_broken(
        days,
        "no more goes to exchanges than leaves the miners",
        "warning",
        pl.col("miner_to_exchange_btc") <= pl.col("miner_outflow_btc"),
        "flow to exchanges up to the outflow",
    )
    expected = pl.col("hashprice_usd_per_phs_day").rolling_mean(7)
    realised = pl.col("hashprice_realised_usd_per_phs_day").rolling_mean(7)
    yield none_broken(
        modern,
        "both forms of hashprice agree over a week",
        "warning",
        (expected / realised - 1).abs() <= HASHPRICE_TOLERANCE,
        "within 15 % since 2013",
    )


def check_pools(pools: pl.DataFrame, days: pl.DataFrame, *, same_source: bool) -> Iterator[Check]:
    """Check that the blocks of all pools are the blocks of the day, exactly where both come from one source."""
    compared = (
        pools.group_by("day")
        .agg(pl.col("block_count").sum().alias("pool_blocks"))
        .join(days.select("day", "block_count"), on="day", how="inner", validate="1:1")
        .sort("day")
    )
    tolerance = SAME_SOURCE_TOLERANCE if same_source else OTHER_SOURCE_TOLERANCE
    agrees = (pl.col("pool_blocks") / pl.col("block_count") - 1).abs() <= tolerance
    yield none_broken(
        compared,
        "blocks of all pools are the blocks of the day",
        "error" if same_source else "warning",
        agrees,
        "equal" if same_source else "within 1 %",
        table="pool_daily",
    )


def check_flows(flows: pl.DataFrame, days: pl.DataFrame, *, same_source: bool) -> Iterator[Check]:
    """Check that the flow to all exchanges is the day's flow, where both come from one source."""
    if not same_source:
        return
    compared = (
        flows.filter((pl.col("exchange") == "all") & (pl.col("pool") == "all"))
        .select("day", pl.col("miner_to_exchange_btc").alias("all_btc"))
        .join(days.select("day", "miner_to_exchange_btc"), on="day", how="inner", validate="1:1")
        .sort("day")
    )
    yield none_broken(
        compared,
        "flow to all exchanges is the flow of the day",
        "error",
        (pl.col("all_btc") - pl.col("miner_to_exchange_btc")).abs() <= 1e-8,
        "equal to the satoshi",
        table="exchange_flow_daily",
    )


def check_conflicts(conflicts: pl.DataFrame) -> Iterator[Check]:
    """Report where a second source disagrees with the chosen one: one check a series and other source."""
    for row in conflicts.filter(~pl.col("series").is_in(JUDGED_BY_VENUE)).iter_rows(named=True):
        share = row["conflict_count"] / row["compared_count"]
        yield Check(
            check_name=f"{row['series']}: {row['other_source']} agrees with {row['chosen_source']}",
            table_name="capitulation_daily",
            severity="warning",
            passed=share <= CONFLICT_SHARE,
            value=float(row["conflict_count"]),
            expected="differences above 0.1 % on at most 5 % of days",
            detail=(
                f"{row['conflict_count']} of {row['compared_count']} days differ; median "
                f"{row['median_difference_pct']:.4f} %, largest {row['largest_difference_pct']:.4f} %"
            ),
        )


def check_reported_hashrate(resolved: pl.DataFrame, days: pl.DataFrame) -> Iterator[Check]:
    """Compare our hash rate with the one a vendor reports, where one does."""
    compared = (
        resolved.select("day", "reported_hashrate_ehs")
        .drop_nulls()
        .join(days.select("day", "hashrate_ehs").drop_nulls(), on="day", how="inner", validate="1:1")
    )
    if compared.is_empty():
        return
    difference = compared.select(
        (pl.col("hashrate_ehs") / pl.col("reported_hashrate_ehs") - 1).abs().median() * 100
    ).item()
    yield Check(
        check_name="hash rate agrees with the vendor's",
        table_name="capitulation_daily",
        severity="warning",
        passed=difference <= 0.01,
        value=difference,
        expected="median difference up to 0.01 %",
        detail=f"median difference {difference:.7f} % over {compared.height} days",
    )


def from_notices(notices: Sequence[tuple[str, str, str]]) -> Iterator[Check]:
    """Turn what sources left out, (source, origin, message), into rows that never fail."""
    for source, origin, message in notices:
        yield Check(
            check_name=f"{source}: {origin}",
            table_name="",
            severity="notice",
            passed=True,
            value=None,
            expected="",
            detail=message,
        )


def none_broken(
    frame: pl.DataFrame,
    name: str,
    severity: Severity,
    holds: pl.Expr,
    expected: str,
    *,
    table: str = "capitulation_daily",
) -> Check:
    """Count the days on which `holds` is false, and tell what was judged on the first; unknown breaks nothing."""
    broken = frame.filter(~holds.fill_null(True)).unique("day", keep="first").sort("day")
    judged = [column for column in holds.meta.root_names() if column != "day"]
    first = broken.head(MOST_NAMED).select("day", *dict.fromkeys(judged)).iter_rows(named=True)
    named = ", ".join(_named(**row) for row in first)
    more = f" and {broken.height - MOST_NAMED} more" if broken.height > MOST_NAMED else ""
    return Check(
        check_name=name,
        table_name=table,
        severity=severity,
        passed=broken.is_empty(),
        value=float(broken.height),
        expected=expected,
        detail=f"{broken.height} of {frame.height} days broken" + (f": {named}{more}" if named else ""),
    )


def _named(day: date, **values: float | bool | None) -> str:
    """A day and what was judged on it."""
    return " ".join([str(day), *(f"{name}={_figure(value)}" for name, value in values.items())])


def _figure(value: float | bool | None) -> str:
    if value is None or isinstance(value, bool):
        return "unknown" if value is None else str(value).lower()
    return f"{value:.12g}" if float(value).is_integer() else f"{value:.6g}"


def failed(checks: Sequence[Check]) -> list[str]:
    """What stops the publication, each as a sentence part."""
    return [check.told() for check in checks if check.stops]
