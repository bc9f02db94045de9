"""What nobody states but follows from one source's own figures: each rule, and that a stated figure wins."""

from collections.abc import Sequence
from datetime import date, timedelta

import polars as pl
import pytest

from schemas.series import Group
from transforms.chain import BLOCKS_PER_HALVING, subsidy_sat
from transforms.inputs.resolve import Resolved, resolve

GENESIS = date(2009, 1, 3)
A_THEN_B = {group: ["a", "b"] for group in Group}


def resolved(**series: Sequence[float | None]) -> Resolved:
    """Days from the first of the chain on; `b__fees_sat` is what b states of fees, without a name it is a."""
    rows = []
    for name, cells in series.items():
        source, _, stated = name.rpartition("__")
        rows += [(source or "a", stated, GENESIS + timedelta(n), value) for n, value in enumerate(cells)]
    schema = {"source": pl.String, "series": pl.String, "day": pl.Date, "value": pl.Float64}
    return resolve(pl.DataFrame(rows, schema=schema, orient="row").drop_nulls(), A_THEN_B)


def test_price_is_the_reward_in_dollars_over_the_reward_in_coins() -> None:
    found = resolved(reward_usd=[0.0, 5_000.0, 10.0], reward_sat=[5e9, 5e9, 0.0])
    assert found.days["price_usd"].to_list() == [None, 100.0, None]
    assert found.chosen["price_usd"] == "a"
    assert found.computed["price_usd"].startswith("reward in USD over reward in BTC")
    assert found.last_days.filter(series="price_usd")["last_day"].to_list() == [date(2009, 1, 4)]


@pytest.mark.parametrize("counts_genesis", [True, False])
def test_issuance_follows_from_the_count_of_all_blocks_across_a_halving(counts_genesis: bool) -> None:
    counts = [1 if counts_genesis else 0, BLOCKS_PER_HALVING - 5, 9]
    heights = [range(1), range(1, BLOCKS_PER_HALVING - 4), range(BLOCKS_PER_HALVING - 4, BLOCKS_PER_HALVING + 5)]
    expected = [float(sum(map(subsidy_sat, each))) for each in heights]
    found = resolved(block_count=[float(count) for count in counts])
    assert found.days["issuance_sat"].to_list() == [expected[0] if counts_genesis else 0.0, *expected[1:]]


@pytest.mark.parametrize("counts", [[1.0, None, 9.0], [None] * 9 + [150.0, 150.0]], ids=["gap", "begins later"])
def test_count_that_does_not_give_the_heights_gives_no_issuance(counts: list[float | None]) -> None:
    assert "issuance_sat" not in resolved(block_count=counts).chosen


def test_fees_are_what_the_reward_is_more_than_the_issuance() -> None:
    found = resolved(block_count=[1.0, 2.0, 2.0], reward_sat=[50e8, 103e8, 99e8])
    assert found.days["fees_sat"].to_list() == [0.0, 3e8, None]  # coins that nobody claimed are no negative fees
    assert set(found.computed) == {"issuance_sat", "fees_sat"}


def test_issuance_is_the_reward_less_stated_fees_before_it_is_counted() -> None:
    found = resolved(block_count=[1.0, 2.0], reward_sat=[50e8, 103e8], fees_sat=[0.0, 4e8])
    assert found.days["issuance_sat"].to_list() == [50e8, 99e8]


def test_growth_of_the_supply_is_the_last_resort() -> None:
    found = resolved(supply_sat=[50e8, 100e8, None, 250e8, 300e8])
    assert found.days["issuance_sat"].to_list() == [None, 50e8, None, None, 50e8]


def test_issuance_in_dollars_and_one_of_its_factors_give_the_other() -> None:
    found = resolved(reported_issuance_usd=[None, 4_000.0], price_usd=[None, 40.0])
    assert (found.days["issuance_sat"][-1], found.computed) == (
        100e8,
        {"issuance_sat": "issuance in USD over the price"},
    )
    found = resolved(reported_issuance_usd=[None, 4_000.0], issuance_sat=[50e8, 100e8])
    assert (found.days["price_usd"][-1], list(found.computed)) == (40.0, ["price_usd"])


def test_difficulty_is_what_the_vendor_made_its_hash_rate_of() -> None:
    hashrate = 135 * 13_912_524_048_945.94 * 2**32 / 86_400 / 1e18
    found = resolved(reported_hashrate_ehs=[hashrate, 0.0], block_count=[135.0, 0.0])
    assert found.days["difficulty"][0] == pytest.approx(13_912_524_048_945.94, rel=1e-12)
    assert found.days["difficulty"][1] is None


def test_what_somebody_states_wins_over_what_follows_from_the_figures_of_a_preferred_source() -> None:
    found = resolved(reward_usd=[5_000.0], reward_sat=[50e8], b__price_usd=[90.0])
    assert found.days["price_usd"].to_list() == [90.0]
    assert (found.chosen["price_usd"], dict(found.computed)) == ("b", {})


def test_figures_of_two_sources_are_never_put_together() -> None:
    assert "price_usd" not in resolved(reward_usd=[5_000.0], b__reward_sat=[50e8]).chosen


def test_first_source_in_order_that_gives_it_is_taken() -> None:
    of_b = {"b__reward_usd": [4_000.0], "b__reward_sat": [50e8]}
    assert resolved(reward_usd=[5_000.0], reward_sat=[50e8], **of_b).days["price_usd"].to_list() == [100.0]
    assert resolved(reward_usd=[5_000.0], **of_b).chosen["price_usd"] == "b"
