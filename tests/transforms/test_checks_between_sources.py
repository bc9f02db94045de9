"""One source against another and all against consensus: each check passes on sound data and fails where it should."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.check import Check, failed
from schemas.errors import QualityError
from schemas.series import Group
from transforms.build import build
from transforms.chain import BLOCKS_PER_HALVING, subsidy_sat
from transforms.checks.between_sources import (
    OTHER_BLOCKS,
    PRICE_STOP,
    PRICE_TOLERANCE,
    check_claims,
    check_issuance,
    check_prices,
    check_same_blocks,
)
from transforms.prepare import Inputs

LAST = date(2026, 9, 10)
VENUES = ("one", "two", "three")

Builder = Callable[..., pl.DataFrame]


def prices(days: int = 40, last: date = LAST, **apart: dict[int, float]) -> pl.DataFrame:
    """Prices of all `VENUES`; `apart` moves that of a venue `n` days before the last by a share."""
    rows = [
        (venue, "price_usd", last - timedelta(days=n), (60_000.0 + n) * (1 + apart.get(venue, {}).get(n, 0)))
        for venue in VENUES
        for n in range(days)
    ]
    return pl.DataFrame(rows, schema=["source", "series", "day", "value"], orient="row")


def judged(values: pl.DataFrame, ranked: tuple[str, ...] = VENUES) -> dict[str, Check]:
    return {check.check_name: check for check in check_prices(values, ranked, "one", LAST)}


def test_venues_that_agree_break_nothing() -> None:
    checks = judged(prices(two={3: 0.01}))
    assert set(checks) == {
        "price_usd: two agrees with one",
        "price_usd: three agrees with one",
        "price_usd is supported by another venue",
    }
    assert all(check.passed for check in checks.values())
    assert checks["price_usd: two agrees with one"].value == pytest.approx(1)


@pytest.mark.parametrize("direction", [1, -1])
def test_venue_that_is_apart_is_a_finding_and_stops_nothing(direction: int) -> None:
    checks = judged(prices(two={3: direction * (PRICE_TOLERANCE + 0.001)}))
    assert [name for name, check in checks.items() if not check.passed] == ["price_usd: two agrees with one"]
    assert "on 2026-09-07" in checks["price_usd: two agrees with one"].detail
    assert failed(list(checks.values())) == []


def test_one_mad_venue_of_three_stops_nothing() -> None:
    assert failed(list(judged(prices(three={0: 9.0})).values())) == []


def test_price_that_no_other_venue_supports_stops_the_publication() -> None:
    (stopped,) = failed(list(judged(prices(one={2: PRICE_STOP + 0.02})).values()))
    assert "price_usd is supported by another venue" in stopped
    assert "2026-09-08" in stopped


def test_old_days_are_shown_but_not_judged() -> None:
    checks = judged(prices(one={35: 0.5}))
    assert all(check.passed for check in checks.values())
    assert "1 of 40 days of all time" in checks["price_usd: two agrees with one"].detail


def test_venues_that_the_profile_does_not_rank_are_not_compared() -> None:
    assert judged(prices(two={0: 9.0}), ("one",)) == {}


def others(blocks: pl.DataFrame, *changed: int, source: str = "hosted") -> pl.DataFrame:
    """The same blocks from another source, some with a satoshi more of fees."""
    more = pl.when(pl.col("height").is_in(changed)).then(1).otherwise(0)
    return blocks.select(
        pl.lit(source).alias("source"), "height", "subsidy_claimed_sat", (pl.col("fees_sat") + more).alias("fees_sat")
    ).cast(OTHER_BLOCKS)


@pytest.fixture
def chain(blocks_of: Builder) -> pl.DataFrame:
    times = [datetime(2026, 9, 9, tzinfo=UTC) + timedelta(minutes=10 * n) for n in range(200)]
    return blocks_of(times, height=900_000)


def test_blocks_that_agree_break_nothing(chain: pl.DataFrame) -> None:
    (check,) = check_same_blocks(chain, "node", others(chain))
    assert check.passed
    assert check.detail == "0 of 194 heights differ"


def test_satoshi_apart_is_a_finding_and_more_than_a_branch_of_them_stops(chain: pl.DataFrame) -> None:
    (check,) = check_same_blocks(chain, "node", others(chain, 900_010, 900_011))
    assert (check.passed, check.stops) == (False, False)
    assert "900,010, 900,011" in check.detail
    (check,) = check_same_blocks(chain, "node", others(chain, *range(900_010, 900_017)))
    assert check.stops


def test_newest_blocks_and_what_one_side_does_not_state_are_not_compared(chain: pl.DataFrame) -> None:
    apart = others(chain, *range(900_194, 900_200)).with_columns(subsidy_claimed_sat=pl.lit(None, pl.Int64))
    (check,) = check_same_blocks(chain, "node", apart)
    assert check.passed


def test_without_another_source_there_is_nothing_to_compare(chain: pl.DataFrame) -> None:
    assert list(check_same_blocks(chain, "node", pl.DataFrame(schema=OTHER_BLOCKS))) == []


def test_block_that_claims_more_than_its_subsidy_stops(chain: pl.DataFrame) -> None:
    assert [check.passed for check in check_claims(chain)] == [True]
    greedy = chain.with_columns(
        subsidy_claimed_sat=pl.when(height=900_005).then(subsidy_sat(900_005) + 1).otherwise("subsidy_claimed_sat")
    )
    (check,) = check_claims(greedy)
    assert check.stops
    assert "900,005" in check.detail


def counted(counts: list[int | None], genesis: bool, first: date = date(2009, 1, 3)) -> pl.DataFrame:
    """Days of so many blocks, each of which claims all it may; `genesis`: the first one is of height 0."""
    height, rows = 0 if genesis else 1, []
    for n, count in enumerate(counts):
        heights = range(height, height + (count or 0))
        rows.append((first + timedelta(days=n), count, float(sum(map(subsidy_sat, heights)))))
        height += count or 0
    return pl.DataFrame(
        rows, schema={"day": pl.Date, "block_count": pl.Float64, "issuance_sat": pl.Float64}, orient="row"
    )


def issuance(days: pl.DataFrame) -> list[tuple[bool, bool]]:
    return [(check.passed, check.stops) for check in check_issuance(days)]


ERA = BLOCKS_PER_HALVING // 200
"""Days of 200 blocks until the first halving."""


@given(counts=st.lists(st.integers(0, 300), min_size=1, max_size=5), genesis=st.booleans())
def test_what_blocks_may_create_is_found_by_their_count_across_a_halving(counts: list[int], genesis: bool) -> None:
    days = counted([BLOCKS_PER_HALVING - 250, *counts], genesis)
    assert issuance(days) == [(True, False), (True, False)]
    more = days.with_columns(issuance_sat=pl.col("issuance_sat") + pl.when(pl.col("day") == days["day"][-1]).then(6e9))
    assert issuance(more.fill_null(0))[0] == (False, True)


@pytest.mark.parametrize("factor", [2.0, 1.001, 0.9])
def test_vendor_who_errs_by_a_factor_is_found(factor: float) -> None:
    """Halvings read from the issuance itself would follow a doubled issuance."""
    days = counted([200] * (ERA + 1_600), genesis=True).with_columns(issuance_sat=pl.col("issuance_sat") * factor)
    more, less = issuance(days)
    assert more == ((True, False) if factor < 1 else (False, True))
    assert less == (factor > 1, False)


def test_count_that_has_a_gap_or_begins_later_gives_no_heights() -> None:
    assert issuance(counted([200, None, 200], genesis=True)) == []
    assert issuance(counted([200, 200], genesis=True, first=date(2012, 1, 1))) == []
    assert issuance(counted([], genesis=True)) == []
    assert len(issuance(counted([200, 200, None], genesis=True))) == 2  # the vendor is a day behind


def test_coin_metrics_counts_agree_with_consensus_on_every_day(shared_data: Path) -> None:
    table = pl.read_csv(shared_data / "coinmetrics" / "btc.csv", infer_schema_length=None)
    days = table.select(
        pl.col("time").str.to_date().alias("day"),
        pl.col("BlkCnt").cast(pl.Float64).alias("block_count"),
        (pl.col("IssTotNtv") * 1e8).alias("issuance_sat"),
    )
    assert days["block_count"].drop_nulls().len() > 6_000
    assert issuance(days) == [(True, False), (True, False)]


def test_checks_reach_the_publication(inputs_of: Callable[..., Inputs]) -> None:
    sound = prices(two={0: 0.005})
    given_inputs = {"precedence": {Group.PRICE: list(VENUES)}, "through": LAST}
    names = {check.check_name for check in build(inputs_of(values=sound, **given_inputs)).checks}
    assert "price_usd: two agrees with one" in names
    mad = build(inputs_of(values=prices(one={0: 1.0}), **given_inputs))
    assert "price_usd is supported by another venue" in str(QualityError(failed(mad.checks)))
