"""Concentration, supply, troughs and the terms of a drawdown: against slow references and real blocks."""

import random
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.observations import UTC_TIME
from transforms.build import Built, build
from transforms.calendar import dated, whole_days
from transforms.chain import subsidy_sat
from transforms.derive import derive
from transforms.inputs.concentration import concentration_days
from transforms.inputs.pools import pool_days
from transforms.inputs.security import supply_at_end
from transforms.metrics import concentration
from transforms.metrics.drawdown import RECOVERY_DAYS
from transforms.prepare import Inputs
from warehouse.registry import load_registry

FIRST = date(2023, 1, 1)
WINDOW = 4_320
ONE_BLOCK_SQUARE = (100 / WINDOW) ** 2

Builder = Callable[..., pl.DataFrame]
InputsOf = Callable[..., Inputs]
TimesOf = Callable[[date, Sequence[int]], list[datetime]]


def day(n: int) -> date:
    return FIRST + timedelta(days=n)


def concentrated(counts: dict[str, int], proxies: pl.DataFrame, on: date = FIRST) -> dict[str, Any]:
    """The published columns of one day whose window holds `counts` blocks of each pool."""
    rows = pl.DataFrame(
        {"day": [on] * len(counts), "pool": list(counts), "block_4320_count": list(counts.values())},
        schema={"day": pl.Date, "pool": pl.String, "block_4320_count": pl.Int64},
    )
    return derive(concentration_days(rows, proxies), concentration.METRICS).row(0, named=True)


@pytest.fixture(scope="module")
def no_proxies(registry_table: Builder) -> pl.DataFrame:
    return registry_table("proxy_pool")


@given(cuts=st.lists(st.integers(0, WINDOW), min_size=1, max_size=12), unknown=st.booleans())
def test_concentration_is_what_counting_block_by_block_gives(
    no_proxies: pl.DataFrame, cuts: list[int], unknown: bool
) -> None:
    edges = sorted({0, *cuts, WINDOW})
    sizes = [b - a for a, b in pairwise(edges) if b > a]
    names = ["unknown" if unknown and n == 0 else f"pool{n}" for n in range(len(sizes))]
    actual = concentrated(dict(zip(names, sizes, strict=True)), no_proxies)
    named = [size for name, size in zip(names, sizes, strict=True) if name != "unknown"]
    lost = WINDOW - sum(named)
    singles = sorted([*named, *[1] * lost], reverse=True)
    assert actual["pool_hhi_index"] == pytest.approx(sum((100 * n / WINDOW) ** 2 for n in singles))
    assert actual["pool_hhi_high_index"] == pytest.approx(sum((100 * n / WINDOW) ** 2 for n in sizes))
    needed = next(k for k in range(1, len(singles) + 1) if sum(singles[:k]) > WINDOW / 2)
    assert actual["nakamoto_coefficient_count"] == needed
    assert actual["top2_pool_share_pct"] == pytest.approx(100 * sum(singles[:2]) / WINDOW)
    assert actual["unknown_pool_share_pct"] == pytest.approx(100 * lost / WINDOW)


def test_proxy_pool_counts_to_its_group_from_the_day_that_was_known(registry_table: Builder) -> None:
    row = {"proxy_group": "antpool"}
    proxies = registry_table(
        "proxy_pool", [row | {"pool": "poolin", "known_at": day(10)}, row | {"pool": "luxor", "known_at": day(20)}]
    )
    counts = {"antpool": 1_000, "poolin": 500, "luxor": 500, "f2pool": 2_320}
    before, first, last = (concentrated(counts, proxies, day(n)) for n in (9, 10, 20))
    assert before["merged_pool_hhi_index"] is None
    assert first["merged_top2_pool_share_pct"] == pytest.approx(100 * (2_320 + 1_500) / WINDOW)
    assert last["merged_top2_pool_share_pct"] == 100 * (2_320 + 2_000) / WINDOW
    assert last["merged_pool_hhi_index"] > first["merged_pool_hhi_index"] > first["pool_hhi_index"]
    assert first["pool_hhi_index"] == before["pool_hhi_index"]


def test_name_of_a_pool_may_be_written_in_any_way(registry_table: Builder) -> None:
    row = {"proxy_group": "antpool", "pool": "binancepool", "known_at": FIRST}
    proxies = registry_table("proxy_pool", [row])
    slugs = concentrated({"antpool": 2_000, "binancepool": 1_000, "unknown": 1_320}, proxies)
    names = concentrated({"AntPool": 2_000, "Binance Pool": 1_000, "Unknown": 1_320}, proxies)
    assert names == slugs
    both = concentrated({"antpool": 1_500, "AntPool": 500, "Binance Pool": 1_000, "Unknown": 1_320}, proxies)
    assert both == slugs
    assert names["merged_nakamoto_coefficient_count"] == 1
    assert names["unknown_pool_share_pct"] == pytest.approx(100 * 1_320 / WINDOW)


@pytest.fixture(scope="module")
def real_concentration(shared_data: Path) -> pl.DataFrame:
    """The published columns of every day of the recorded blocks."""
    read = pl.read_parquet(shared_data / "pool_blocks" / "blocks_post_2021.parquet").select(
        pl.col("height").cast(pl.Int64),
        pl.col("date").cast(UTC_TIME).alias("block_at"),
        pl.col("pool_slug").alias("pool"),
    )
    blocks = dated(read)
    days = pool_days(blocks, whole_days(blocks))
    return derive(concentration_days(days, load_registry()["proxy_pool"]), concentration.METRICS)


def test_real_blocks_of_2025_are_as_concentrated_as_was_published(real_concentration: pl.DataFrame) -> None:
    """Published shares of 2025: Foundry about 30 %, AntPool and friends about 40: HHI 2,835 and Nakamoto 2 merged."""
    year = real_concentration.filter(pl.col("day").dt.year() == 2025)
    assert year.height == 365
    since = year.filter(pl.col("day") >= date(2025, 4, 15))
    merged, plain = since["merged_pool_hhi_index"].mean(), year["pool_hhi_index"].mean()
    assert merged == pytest.approx(2_835.5, rel=0.10)
    assert set(since["merged_nakamoto_coefficient_count"]) == {2}
    assert since["merged_top2_pool_share_pct"].mean() == pytest.approx(70, abs=3)
    # The unmerged illustration: 30/19/14.5/12/10/5/3/2/2/1.5/1 gives 1,760.5, a coefficient of 3 and 49 %.
    assert plain == pytest.approx(1_760.5, rel=0.10)
    assert year["nakamoto_coefficient_count"].mode().to_list() == [3]
    assert year["top2_pool_share_pct"].mean() == pytest.approx(49, abs=1)


def test_real_window_is_what_a_counter_counts(shared_data: Path, real_concentration: pl.DataFrame) -> None:
    blocks = pl.read_parquet(shared_data / "pool_blocks" / "blocks_post_2021.parquet").sort("height")
    times = blocks["date"].to_list()
    latest = times[0]
    last = 0
    for n, at in enumerate(times):
        latest = max(latest, at)
        if latest.date() > date(2025, 6, 30):
            break
        last = n
    counts = Counter(blocks["pool_slug"].to_list()[last + 1 - WINDOW : last + 1])
    lost = counts.pop("unknown", 0)
    row = real_concentration.row(by_predicate=pl.col("day") == date(2025, 6, 30), named=True)
    low = sum((100 * n / WINDOW) ** 2 for n in counts.values()) + lost * ONE_BLOCK_SQUARE
    assert row["pool_hhi_index"] == pytest.approx(low)
    assert row["top2_pool_share_pct"] == pytest.approx(100 * sum(n for _, n in counts.most_common(2)) / WINDOW)


def test_supply_is_the_sum_of_all_subsidies(blocks_of: Builder, times_of: TimesOf) -> None:
    blocks = dated(blocks_of(times_of(FIRST, [144] * 3), height=209_900))
    supply = supply_at_end(blocks, whole_days(blocks))
    expected = []
    issued = sum(subsidy_sat(height) for height in range(209_900))
    for n in range(3):
        issued += sum(subsidy_sat(209_900 + 144 * n + i) for i in range(144))
        expected.append(issued / 1e8)
    assert supply["scheduled_supply_btc"].to_list() == expected


def test_supply_is_unknown_where_a_block_is_missing(blocks_of: Builder, times_of: TimesOf) -> None:
    blocks = dated(blocks_of(times_of(FIRST, [144] * 3), height=100).filter(pl.col("height") != 200))
    assert supply_at_end(blocks, whole_days(blocks)).is_empty()


def secured(
    inputs_of: InputsOf,
    values_of: Builder,
    market: Callable[..., dict[str, list[Any]]],
    difficulty: Sequence[float],
    **reference: Any,
) -> Built:
    """Tables of a market whose hash rate follows `difficulty`, at 144 blocks a day."""
    days = len(difficulty)
    values = market(days) | {"difficulty": list(difficulty), "block_count": [144.0] * days}
    inputs = inputs_of(values=values_of(FIRST, values))
    return build(inputs_of(values=values_of(FIRST, values), reference=dict(inputs.reference) | reference))


def test_trough_is_judged_sixty_days_after_it_and_not_earlier(
    inputs_of: InputsOf, values_of: Builder, market: Callable[..., dict[str, list[Any]]]
) -> None:
    peak, low, after = [1e14] * 400, [8e13] * 20, [9.5e13] * 120
    table = secured(inputs_of, values_of, market, [*peak, *low, *after]).tables["security_daily"]
    actual = table.filter(pl.col("recovery_trough_on").is_not_null())
    trough = actual["recovery_trough_on"][0]
    assert actual["day"][0] == trough + timedelta(days=RECOVERY_DAYS)
    assert day(400) <= trough < day(420)
    assert actual["recovery_ratio"][0] == pytest.approx((9.5 - 8) / (10 - 8))
    assert actual["recovery_class"][0] == "mixed"
    cut = actual["day"][0] - timedelta(days=1)
    assert table.filter(pl.col("day") <= cut)["recovery_class"].null_count() == (cut - FIRST).days + 1


def test_fall_from_which_nothing_comes_back_is_persistent(
    inputs_of: InputsOf, values_of: Builder, market: Callable[..., dict[str, list[Any]]]
) -> None:
    fall = [1e14] * 400 + [8e13 * (1 + n / 100_000) for n in range(140)]
    table = secured(inputs_of, values_of, market, fall).tables["security_daily"]
    assert table["recovery_class"].drop_nulls().unique().to_list() == ["persistent"]


def test_storm_counts_only_inside_and_only_once_it_was_reported(
    inputs_of: InputsOf, values_of: Builder, market: Callable[..., dict[str, list[Any]]], registry_table: Builder
) -> None:
    storm = {"event": "storm", "kind": "storm", "start_on": day(60), "end_on": day(63), "known_at": day(61)}
    fall = [1e14] * 60 + [6e13] * 4 + [1e14] * 30
    events = registry_table("outage_event", [storm])
    table = secured(inputs_of, values_of, market, fall, outage_event=events).tables["security_daily"]
    off = dict(table.select("day", "drawdown_weather_ehs").iter_rows())
    assert [off[day(n)] > 0 for n in (59, 60, 61, 63, 64)] == [False, False, True, True, False]
    hashrate = table["hashrate_peak_365d_ehs"].is_null().all()
    assert hashrate, "94 days make no peak of a year"


def test_terms_of_the_drawdown_add_up_and_the_response_sees_the_past_only(
    inputs_of: InputsOf, values_of: Builder, market: Callable[..., dict[str, list[Any]]]
) -> None:
    random.seed(3)
    path = [1e14 * (1 + 0.1 * random.random()) for _ in range(900)]
    longer = secured(inputs_of, values_of, market, path).tables["security_daily"]
    shorter = secured(inputs_of, values_of, market, path[:800]).tables["security_daily"]
    known = longer.drop_nulls("drawdown_residual_high_ehs")
    assert known.height > 100
    total = known["drawdown_permanent_low_ehs"] + known["drawdown_temporary_ehs"] + known["drawdown_residual_high_ehs"]
    assert (total - known["drawdown_total_ehs"]).abs().max() == pytest.approx(0, abs=1e-9)
    seen = ("price_response_ratio", "drawdown_economic_ehs", "recovery_class", "security_budget_usd_year")
    assert longer.head(800).select(seen).equals(shorter.select(seen))


def test_missing_input_is_explained_by_its_root(
    inputs_of: InputsOf, values_of: Builder, market: Callable[..., dict[str, list[Any]]]
) -> None:
    values = market(60)
    del values["price_usd"]
    built = build(inputs_of(values=values_of(FIRST, values)))
    assert built.tables["security_daily"]["security_budget_usd_year"].null_count() == 60
    reasons = built.nulls.filter(table_name="security_daily")
    actual = dict(reasons.filter(pl.col("last_day") == day(59)).select("column_name", "reason").iter_rows())
    assert actual["pool_hhi_index"] == "no observation of pool_blocks"
    assert actual["attack_rent_usd_per_hour"] == "no observation of hashprice_usd_per_phs_day"
    assert "attack_hardware_usd" not in actual


def test_nothing_is_displaced_before_the_first_deal_is_known(
    inputs_of: InputsOf, values_of: Builder, market: Callable[..., dict[str, list[Any]]], registry_table: Builder
) -> None:
    deal = {"deal_id": "A", "announced_on": day(40), "known_at": day(40), "kind": "contract", "lease_type": "nnn"}
    deal |= {"confidence": "confirmed", "miner": "riot", "gross_mw": 180.0, "site_history": "mined"}
    deals = registry_table("conversion_deal", [deal])
    table = secured(inputs_of, values_of, market, [1e14] * 60, conversion_deal=deals).tables["security_daily"]
    high = dict(table.select("day", "drawdown_permanent_high_ehs").iter_rows())
    assert (high[day(39)], high[day(40)]) == (0.0, 10.0)
