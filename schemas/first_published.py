"""The figures of a day as they were when its state was published first: rows that the working database keeps."""

from typing import Final

import polars as pl

FIRST_PUBLISHED: Final = pl.Schema(
    {
        "day": pl.Date(),
        "price_usd": pl.Float64(),
        "capitulation_state": pl.String(),
        "rule_hash_ribbon_plain": pl.Boolean(),
        "hash_ribbon_state": pl.String(),
        "rule_puell_low": pl.Boolean(),
        "rule_glassnode_risk": pl.Boolean(),
        "rule_difficulty_ribbon_compressed": pl.Boolean(),
        "revenue_change_30d_pct": pl.Float64(),
        "mpi_zscore": pl.Float64(),
        "is_final": pl.Boolean(),
        "score_income_level": pl.Float64(),
        "score_income_per_hash": pl.Float64(),
        "score_hashrate": pl.Float64(),
        "outage_event": pl.String(),
    }
)
"""Columns of `capitulation_daily` that signals and the back-test of them read."""
PUBLISHED_AT: Final = "published_at"
"""When, UTC: the clock reading of the run that published the row."""
KEPT: Final = pl.Schema({**FIRST_PUBLISHED, PUBLISHED_AT: pl.Datetime("us")})
"""What is kept of a day."""
