"""The rule of capitulation with the hash rate added back that AI is known to have taken, beside the rule as it is."""

from typing import Final

import polars as pl

from transforms.capitulation import CAPITULATIONS, HASHRATE_DECLINE, RULE
from transforms.variants import INPUTS, states_of

DISPLACED: Final = "displaced_hashrate_energised_ehs"
ROWS: Final = pl.Schema(
    {
        "year_start": pl.Date(),
        "day_count": pl.Int64(),
        "capitulation_day_count": pl.Int64(),
        "capitulation_adjusted_day_count": pl.Int64(),
        "hashrate_decline_day_count": pl.Int64(),
        "hashrate_decline_adjusted_day_count": pl.Int64(),
        "displaced_hashrate_max_ehs": pl.Float64(),
    }
)
"""What `drift_years` lays out."""


def drift_years(days: pl.DataFrame, conversion: pl.DataFrame) -> pl.DataFrame:
    """Days of the states that hash rate decides, as published and with what AI took added to the hash rate.

    `days`: rows of `capitulation_daily`, `conversion`: of `conversion_daily`. Where nothing is known to be taken,
    nothing is added. Shape: one row a year with a state, with `ROWS`.
    """
    joined = days.select(*INPUTS, "capitulation_state").join(
        conversion.select("day", DISPLACED), on="day", how="left", validate="1:1", maintain_order="left"
    )
    taken = pl.col(DISPLACED).fill_null(0)
    adjusted = states_of(joined.with_columns(pl.col("hashrate_ehs") + taken), RULE)
    year = pl.col("day").dt.truncate("1y").alias("year_start")
    states = {"": pl.col("capitulation_state"), "adjusted_": pl.col("adjusted_state")}
    return (
        joined.with_columns(adjusted.alias("adjusted_state"))
        .drop_nulls("capitulation_state")
        .group_by(year, maintain_order=True)
        .agg(
            pl.len().cast(pl.Int64).alias("day_count"),
            *(
                state.is_in(CAPITULATIONS).sum().cast(pl.Int64).alias(f"capitulation_{name}day_count")
                for name, state in states.items()
            ),
            *(
                (state == HASHRATE_DECLINE).sum().cast(pl.Int64).alias(f"hashrate_decline_{name}day_count")
                for name, state in states.items()
            ),
            taken.max().alias("displaced_hashrate_max_ehs"),
        )
        .select(ROWS.names())
    )
