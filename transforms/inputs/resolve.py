"""From the values of several sources to one value a day: precedence by series, conflicts counted, never mixed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl

from schemas.series import SERIES, Group
from transforms.calendar import spine
from transforms.inputs.implied import ACCOUNT, accounted, implied

CONFLICT_TOLERANCE: Final = 0.001
"""Relative difference from which two sources count as in conflict about a day."""

CONFLICTS: Final = pl.Schema(
    {
        "series": pl.String,
        "chosen_source": pl.String,
        "other_source": pl.String,
        "compared_count": pl.Int64,
        "conflict_count": pl.Int64,
        "median_difference_pct": pl.Float64,
        "largest_difference_pct": pl.Float64,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """One value a day and series.

    `days`: gap-free calendar, one column a series of `schemas.series` (all NULL where nobody states it) and `sources`,
    the comma-separated sources of the day. `chosen`: the source of each series, of most of its days. `conflicts`: one
    row a series, chosen and other source, comparing them. `last_days`: one row a listed source and series, (`source`,
    `series`, `last_day`), sorted. `computed`: by series that nobody states, how it follows from others of its source.
    """

    days: pl.DataFrame
    chosen: Mapping[str, str]
    conflicts: pl.DataFrame
    last_days: pl.DataFrame
    computed: Mapping[str, str]


def resolve(
    values: pl.DataFrame, precedence: Mapping[Group, Sequence[str]], *, block_source: str | None = None
) -> Resolved:
    """Pick one source for each series and lay the values out by day.

    `values`: long, (`source`, `series`, `day`, `value`), one row a key. A series is taken whole from the first source
    of its group's precedence that states it at all: two vendors' flows differ by 100 %, so a gap of one is never
    filled from another. What no source states is computed where it follows from what one of them states, see
    `transforms.inputs.implied`. Sources that the precedence does not list are not used.

    Count, issuance and fees of the blocks of a day are facts of the chain, and totals of fees are not always those of
    the day's blocks. So on each day they are taken together from blocks that are known, those of `block_source`, else
    from a source that states what miners were paid, and only else from stated totals.
    """
    rank = pl.DataFrame(
        [
            {"series": series.name, "source": source, "rank": position}
            for series in SERIES.values()
            for position, source in enumerate(precedence.get(series.group, ()))
        ],
        schema={"series": pl.String, "source": pl.String, "rank": pl.Int64},
    )
    ranked = values.join(rank, on=["series", "source"], how="inner", validate="m:1")
    stated = ranked.group_by("series").agg(pl.col("source").sort_by("rank").first())
    computed = implied(ranked, precedence, stated["series"].to_list())
    ranked = pl.concat([ranked.drop("rank"), computed.values])
    choice = pl.concat([stated, computed.values.select("series", "source").unique()]).sort("series")
    chosen = ranked.join(choice, on=["series", "source"], how="semi")
    of_accounts = accounted(ranked, precedence.get(Group.CHAIN, ()))
    if of_accounts or block_source is not None:
        ranked = pl.concat([ranked, *of_accounts.values()])
        chosen = _by_account(chosen, ranked, [*([block_source] if block_source else []), *of_accounts])
    return Resolved(
        days=_by_day(chosen),
        chosen=_main_source(chosen),
        conflicts=_conflicts(chosen, ranked.join(chosen, on=["series", "source", "day"], how="anti")),
        last_days=ranked.group_by("source", "series")
        .agg(pl.col("day").max().alias("last_day"))
        .sort("source", "series"),
        computed=computed.how,
    )


def _by_account(chosen: pl.DataFrame, ranked: pl.DataFrame, sources: Sequence[str]) -> pl.DataFrame:
    """Put the account of a day in the place of what was chosen for it: that of the first of `sources` which has one."""
    of_chain = ranked.filter(pl.col("series").is_in(ACCOUNT))
    for source in reversed(sources):
        whole = of_chain.filter(source=source).filter(pl.len().over("day") == len(ACCOUNT))
        chosen = pl.concat([chosen.join(whole, on=["series", "day"], how="anti"), whole])
    return chosen


def _main_source(chosen: pl.DataFrame) -> dict[str, str]:
    """The source of each series, of most of its days where there are several."""
    counted = chosen.group_by("series", "source").len().sort("series", "len", "source", descending=[False, True, False])
    return dict(counted.unique("series", keep="first", maintain_order=True).select("series", "source").iter_rows())


def _by_day(chosen: pl.DataFrame) -> pl.DataFrame:
    """Lay long values out on the calendar, one column a series."""
    if chosen.is_empty():
        empty = {"day": pl.Date} | dict.fromkeys(SERIES, pl.Float64) | {"sources": pl.String}
        return pl.DataFrame(schema=empty)
    wide = chosen.pivot("series", index="day", values="value")
    sources = chosen.select("day", "source").unique().sort("day", "source").group_by("day").agg("source")
    days = spine(wide["day"].min(), wide["day"].max())  # type: ignore[arg-type]
    return (
        days.join(wide, on="day", how="left", validate="1:1")
        .join(sources, on="day", how="left", validate="1:1")
        .sort("day")
        .select(
            "day",
            *(pl.col(name) if name in wide.columns else pl.lit(None, pl.Float64).alias(name) for name in SERIES),
            pl.col("source").list.join(",").fill_null("").alias("sources"),
        )
    )


def _conflicts(chosen: pl.DataFrame, others: pl.DataFrame) -> pl.DataFrame:
    """Compare the values of other sources for the same series and days with the chosen ones."""
    difference = (pl.col("value") - pl.col("chosen_value")).abs() / pl.max_horizontal(
        pl.col("value").abs(), pl.col("chosen_value").abs()
    )
    return (
        others.join(
            chosen.select(
                "series", "day", pl.col("source").alias("chosen_source"), pl.col("value").alias("chosen_value")
            ),
            on=["series", "day"],
            how="inner",
            validate="m:1",
        )
        .with_columns(difference.fill_nan(0).alias("difference"))  # both exactly zero: no difference
        .group_by("series", "chosen_source", pl.col("source").alias("other_source"))
        .agg(
            pl.len().cast(pl.Int64).alias("compared_count"),
            (pl.col("difference") > CONFLICT_TOLERANCE).sum().cast(pl.Int64).alias("conflict_count"),
            (pl.col("difference").median() * 100).alias("median_difference_pct"),
            (pl.col("difference").max() * 100).alias("largest_difference_pct"),
        )
        .sort("series", "chosen_source", "other_source")
        .cast(CONFLICTS)
    )
