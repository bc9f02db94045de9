"""What leases are worth on the real registry: what the building costs, what the tenant pays, low, middle and high."""

from datetime import date

import polars as pl
import pytest

from transforms.derive import derive
from transforms.inputs.leases import standing_contracts
from transforms.metrics import lease_costs, leases
from warehouse.registry import load_registry

LAST = date(2026, 11, 22)
CORE_WEAVE_LEASES = (
    "CORZ-CRWV-2024-03",
    "CORZ-CRWV-2024-06A",
    "CORZ-CRWV-2024-06B",
    "CORZ-CRWV-2024-08",
    "CORZ-CRWV-2024-10",
    "CORZ-CRWV-2025-02",
)
"""Each worth -108 to -464 million USD, had Core Scientific paid for new buildings at 10 million USD a megawatt."""
NEW_MW_USD = 10_000_000


def valued(day: date) -> pl.DataFrame:
    market = pl.DataFrame({"day": [day], "revenue_usd_per_mwh": [49.2], "all_in_usd_per_mwh": [55.5]})
    contracts = standing_contracts(load_registry(), market, day)
    return derive(contracts, (*leases.METRICS, *lease_costs.METRICS))


@pytest.fixture(scope="module")
def contracts() -> pl.DataFrame:
    return valued(LAST)


def test_tenant_funded_part_is_what_was_reported_by_the_day() -> None:
    def share(day: date) -> float | None:
        return valued(day).filter(deal_id="CORZ-CRWV-2024-10")["tenant_funded_pct"].item()

    assert share(date(2025, 8, 7)) is None
    assert share(date(2025, 8, 8)) == pytest.approx(100 * 90.3 / 121.3)
    assert share(LAST) == pytest.approx(100 * (90.3 + 196.4) / (121.3 + 244.5))


def test_leases_whose_tenant_pays_are_not_charged_for_a_new_building(contracts: pl.DataFrame) -> None:
    six = contracts.filter(pl.col("deal_id").is_in(CORE_WEAVE_LEASES))
    assert six.height == len(CORE_WEAVE_LEASES)
    assert set(six["building"]) == {"converted"}
    paid = (90.3 + 196.4) / (121.3 + 244.5)
    for row in six.iter_rows(named=True):
        new = NEW_MW_USD * row["critical_it_mw"]
        assert row["npv_usd"] + row["miner_capex_usd"] - new <= -108e6  # what it was worth at the cost of a new one
        assert row["building_cost_usd"] == pytest.approx(new / 2)
        assert row["tenant_funded_usd"] == pytest.approx(paid * new / 2)
        # The tenant's part is credited in equal parts over the term, in the middle of each year, at 10 %.
        worth = [1.1 ** -(1.5 + year + 0.5) for year in range(int(row["term_years"]))]
        owed = (1 - paid) + paid * sum(worth) / len(worth)
        assert row["miner_capex_usd"] == pytest.approx(owed * new / 2)
        assert row["npv_high_usd"] > 0
    by_deal = dict(six.select("deal_id", pl.col("npv_usd") / 1e6).rows())
    assert min(by_deal.items(), key=lambda each: each[1]) == ("CORZ-CRWV-2024-03", pytest.approx(-3.8, abs=0.05))
    assert sorted(by_deal.values())[1] > 0
    other = contracts.filter(pl.col("deal_id") == "CORZ-AMD-2026-07").row(0, named=True)
    assert other["tenant_funded_pct"] is None  # CoreWeave's money, not AMD's
    assert other["miner_capex_usd"] == 6_000_000_000


def test_every_lease_has_a_low_a_middle_and_a_high_value(contracts: pl.DataFrame) -> None:
    assert (contracts["npv_low_usd"] <= contracts["npv_usd"]).all()
    assert (contracts["npv_usd"] <= contracts["npv_high_usd"]).all()
    priced = contracts.filter(pl.col("npv_usd").is_not_null())
    stated = priced.filter(~pl.col("cost_is_assumed"))
    assert (stated["npv_low_usd"] == stated["npv_high_usd"]).all()
    assumed = priced.filter("cost_is_assumed")
    assert (assumed["npv_low_usd"] < assumed["npv_high_usd"]).all()
    assert priced.height == 29
    assert contracts.filter(pl.col("lease_type") == "gpu_cloud")["npv_low_usd"].null_count() == 6


def test_cost_of_a_building_that_is_not_known_to_be_new_or_converted_spans_both(contracts: pl.DataFrame) -> None:
    row = contracts.filter(pl.col("deal_id") == "CLSK-SAND-2026-07").row(0, named=True)
    assert row["building"] is None
    cost = [row[f"building_cost_{case}usd"] / row["critical_it_mw"] for case in ("low_", "", "high_")]
    assert cost == pytest.approx([3.6e6, 10e6, 15e6])
