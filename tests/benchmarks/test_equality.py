"""What the comparison with a peer lets pass, and what it reports."""

import polars as pl
import pytest

from benchmarks.equality import Differs, compare
from benchmarks.peer_columns import PEER_COLUMNS

TABLE = "pool_daily"
OURS = pl.DataFrame({name: [1.0, 2.0] for name in PEER_COLUMNS[TABLE]})


def test_column_that_no_peer_computes_is_not_compared() -> None:
    assert compare(TABLE, OURS.with_columns(pl.lit(1.0).alias("new_ratio")), OURS, "pandas") == 0


def test_order_of_the_columns_of_a_peer_does_not_matter() -> None:
    assert compare(TABLE, OURS, OURS.select(reversed(OURS.columns)), "pandas") == 0


def test_column_of_a_peer_that_ours_lacks_is_reported() -> None:
    with pytest.raises(Differs, match="pool_daily: pandas has old_ratio, which ours lacks"):
        compare(TABLE, OURS, OURS.with_columns(pl.lit(1.0).alias("old_ratio")), "pandas")


@pytest.mark.parametrize("name", PEER_COLUMNS[TABLE])
def test_peer_that_lost_a_column_is_reported(name: str) -> None:
    with pytest.raises(Differs, match=f"pool_daily: pandas lacks {name}, expected"):
        compare(TABLE, OURS, OURS.drop(name), "pandas")


@pytest.mark.parametrize("cell", [None, 2.0 + 1e-6, float("nan")])
def test_value_that_differs_is_reported_with_its_row(cell: float | None) -> None:
    theirs = OURS.with_columns(pl.Series("block_share_pct", [1.0, cell]))
    with pytest.raises(Differs, match=r"pool_daily.block_share_pct of 2.0, 2.0: ours 2.0, pandas .* \(1 rows differ\)"):
        compare(TABLE, OURS, theirs, "pandas")


def test_largest_difference_within_the_tolerance_is_returned() -> None:
    theirs = OURS.with_columns(pl.Series("block_share_pct", [1.0, 2.0 + 1e-10]))
    assert compare(TABLE, OURS, theirs, "pandas") == pytest.approx(5e-11, rel=1e-3)
