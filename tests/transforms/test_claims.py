"""Claims get another verdict from other data, and none where the data cannot give one."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date

import polars as pl
import pytest

from transforms.build import Built, build
from transforms.claims.evidence import DAY, Evidence, judged
from transforms.tables.claim import CLAIMS, READ
from transforms.tables.claim import TABLE as CLAIM
from warehouse.registry import load_registry

FIRST = date(2023, 6, 1)
LONG = (date(2026, 2, 20) - FIRST).days
CLAIM_OF = {each.name: each for each in CLAIMS}


@pytest.fixture(scope="module")
def inputs(inputs_of, values_of, market):
    """Days up to two weeks after the article."""
    return inputs_of(values=values_of(FIRST, market(LONG)), reference=load_registry())


@pytest.fixture(scope="module")
def built(inputs) -> Built:
    return build(inputs)


def rose(before: float, after: float) -> pl.Expr:
    """One value up to the end of 2025, another from then on."""
    return pl.when(pl.col("day") >= date(2026, 1, 1)).then(after).otherwise(before)


def rows(built: Built) -> dict[str, dict[str, object]]:
    return {row["claim"]: row for row in built.tables["claim"].iter_rows(named=True)}


def test_every_column_that_a_claim_reads_is_published() -> None:
    published = {f"{table.name}.{column.name}" for table in READ for column in table.columns}
    assert [column for each in CLAIMS for column in each.columns if column not in published] == []


@pytest.mark.parametrize(
    ("claim", "columns", "verdict"),
    [
        ("revenue_below_a_month_before", {"sustainability_zone": "extremely_underpaid"}, "reproduced"),
        ("revenue_below_a_month_before", {"revenue_change_30d_raw_pct": -24.0}, "direction only"),
        ("revenue_below_a_month_before", {"revenue_change_30d_raw_pct": 3.0}, "not reproduced"),
        ("puell_multiple", {}, "reproduced"),
        ("puell_multiple", {"puell_issuance_ratio": 0.70}, "direction only"),
        ("puell_multiple", {"puell_issuance_ratio": 1.10}, "not reproduced"),
        ("position_index_up", {"mpi_zscore": rose(0.0, 2.5)}, "reproduced"),
        ("position_index_up", {"mpi_zscore": rose(0.0, 1.5)}, "direction only"),
        ("position_index_up", {"mpi_zscore": 2.5}, "not reproduced"),
        ("mean_inflow_up", {"miner_to_exchange_mean_btc": rose(10.0, 12.0)}, "reproduced"),
        ("mean_inflow_up", {"miner_to_exchange_mean_btc": rose(10.0, 11.9)}, "direction only"),
        ("mean_inflow_up", {"miner_to_exchange_mean_btc": 10.0}, "not reproduced"),
        ("sent_in_january", {}, "reproduced"),
        ("sent_in_january", {"miner_to_exchange_btc": 9_000.0}, "direction only"),
        ("sent_in_january", {"miner_to_exchange_30d_rank_pct": 79.0}, "not reproduced"),
        ("sent_in_january", {"miner_to_exchange_30d_of_prior_90d_ratio": 0.99}, "not reproduced"),
        ("largest_day", {"miner_to_exchange_btc": 10_499.0}, "reproduced"),
        ("largest_day", {"miner_to_exchange_btc": 24_268.0}, "direction only"),
        ("largest_day", {"miner_to_exchange_btc": 9_000.0}, "not reproduced"),
        ("sudden_bursts", {"miner_to_exchange_burst": True}, "reproduced"),
        ("sudden_bursts", {"miner_to_exchange_burst": pl.col("day") == date(2026, 1, 21)}, "direction only"),
        ("sudden_bursts", {"miner_to_exchange_burst": False}, "not reproduced"),
        ("capitulation", {"capitulation_state": "deep_capitulation"}, "reproduced"),
        ("capitulation", {"capitulation_state": "squeeze"}, "direction only"),
        ("capitulation", {"capitulation_state": "recovery"}, "not reproduced"),
        ("google_backstop", {}, "reproduced"),
        ("google_backstop", {"google_backstop_usd": 4.9e9}, "direction only"),
        ("google_backstop", {"google_backstop_usd": 0.0}, "not reproduced"),
        ("long_leases", {"mean_term_years": 14.5}, "reproduced"),
        ("long_leases", {"mean_term_years": 14.4}, "direction only"),
        ("ai_capex", {"capex_guidance_usd": 450e9}, "reproduced"),
        ("ai_capex", {"capex_guidance_usd": 440e9, "capex_trailing_12m_usd": 300e9}, "direction only"),
        ("ai_capex", {"capex_guidance_usd": 440e9, "capex_trailing_12m_usd": 441e9}, "not reproduced"),
        ("leases_pay_more", {}, "reproduced"),
        ("leases_pay_more", {"new_fleet_lease_to_mining_ratio": 0.9}, "direction only"),
        ("leases_pay_more", {"lease_to_mining_ratio": 0.9}, "not reproduced"),
        ("hashrate_gone_for_good", {"drawdown_permanent_low_ehs": 0.5}, "reproduced"),
        ("hashrate_gone_for_good", {"drawdown_permanent_high_ehs": 0.5}, "direction only"),
        ("hashrate_gone_for_good", {}, "direction only"),
        ("hashrate_gone_for_good", {"drawdown_permanent_high_ehs": 0.0}, "not reproduced"),
        ("more_centralised", {}, "reproduced"),
        ("more_centralised", {"pool_hhi_index": 1_500.0}, "direction only"),
        ("more_centralised", {"pool_hhi_index": 1_500.0, "merged_pool_hhi_index": 2_000.0}, "not reproduced"),
        ("cheaper_attack", {}, "reproduced"),
        ("cheaper_attack", {"attack_hashrate_ehs": 900.0}, "direction only"),
        ("cheaper_attack", {"attack_energy_usd_per_hour": 8e5}, "not reproduced"),
    ],
)  # fmt: skip
def test_verdict_follows_the_columns(
    built: Built, claim: str, columns: Mapping[str, float | str | pl.Expr], verdict: str
) -> None:
    """Each claim is judged on days on which it would be reproduced, but for the given columns."""
    later = pl.col("day") == DAY
    as_claimed: dict[str, float | str | pl.Expr] = {
        "sustainability_zone": "extremely_underpaid",
        "revenue_change_30d_raw_pct": -26.0,
        "puell_issuance_ratio": pl.when(later).then(0.694).otherwise(0.5),
        "mpi_spans_break": False,
        "miner_to_exchange_btc": 175_000 / 31,
        "miner_to_exchange_30d_rank_pct": 80.0,
        "miner_to_exchange_30d_of_prior_90d_ratio": 1.01,
        "miner_to_exchange_burst_score": 4.0,
        "capitulation_score": 70.0,
        "google_backstop_usd": 5e9,
        "new_fleet_lease_to_mining_ratio": 1.1,
        "lease_to_mining_ratio": 1.1,
        "drawdown_permanent_low_ehs": 0.0,
        "drawdown_permanent_high_ehs": 10.0,
        "drawdown_total_ehs": 50.0,
        "drawdown_temporary_ehs": 20.0,
        "pool_hhi_index": pl.when(later).then(1_600.0).otherwise(1_500.0),
        "merged_pool_hhi_index": pl.when(later).then(2_600.0).otherwise(2_000.0),
        "merged_nakamoto_coefficient_count": 2,
        "attack_energy_usd_per_hour": pl.when(later).then(7e5).otherwise(8e5),
        "attack_hashrate_ehs": pl.when(later).then(800.0).otherwise(900.0),
    }
    of_article = CLAIM_OF[claim]
    read = {column.split(".")[1] for column in of_article.columns}
    changed = {name: value for name, value in (as_claimed | dict(columns)).items() if name in read}
    values = [(value if isinstance(value, pl.Expr) else pl.lit(value)).alias(name) for name, value in changed.items()]
    table = of_article.columns[0].split(".")[0]
    found = of_article.judge(Evidence({table: built.tables[table].with_columns(values)}, of_article.columns))
    assert found.verdict == verdict
    assert found.finding.endswith(".")
    assert found.left_out.endswith(".")


@pytest.mark.parametrize(
    ("recall", "precision", "episodes", "verdict"),
    [
        ([60.0, 55.0], [50.0, 70.0], 7, "reproduced"),
        ([60.0, 55.0], [49.0, 70.0], 7, "direction only"),
        ([1.0, 28.0], [1.0, 30.0], 7, "not reproduced"),
        ([60.0, 55.0], [50.0, 70.0], 2, "not measurable"),
        ([60.0, None], [50.0, 70.0], 7, "not measurable"),
    ],
)
def test_signs_come_before_lows_where_they_find_most_days_of_stress_and_little_else(
    recall: list[float], precision: list[float], episodes: int, verdict: str
) -> None:
    rules = pl.DataFrame(
        {
            "rule": ["miners_position_index", "revenue_change", "capitulation"],
            "recall_pct": [*recall, 37.0],
            "precision_pct": [*precision, 100.0],
            "episode_count": episodes,
        }
    )
    claim = CLAIM_OF["before_cycle_lows"]
    facts = dict.fromkeys(claim.columns, "registry")
    (row,) = judged([claim], {"rule_comparison": rules}, facts, facts, is_main_network=True).iter_rows(named=True)
    assert row["verdict"] == verdict


def test_figure_is_that_of_the_column_in_its_unit(built: Built) -> None:
    row = rows(built)["revenue_below_a_month_before"]
    day = built.tables["capitulation_daily"].row(by_predicate=pl.col("day") == DAY, named=True)
    assert row["figure"] == day["revenue_change_30d_raw_pct"]
    assert (row["figure_unit"], row["judged_on"], row["sources"]) == ("percent", DAY, "simulated")


def test_what_no_source_states_is_not_measurable_and_the_reason_stands_there(built: Built) -> None:
    """The invented market has no pools."""
    row = rows(built)["more_centralised"]
    assert row["verdict"] == "not measurable"
    assert row["finding"] == ("merged_pool_hhi_index is unknown on 2025-02-05: no source of the profile states it.")
    assert (row["figure"], row["left_out"]) == (None, None)


def test_days_that_end_before_the_article_measure_nothing_of_it(inputs) -> None:
    short = build(replace(inputs, values=inputs.values.filter(pl.col("day") <= date(2026, 1, 20)), through=DAY))
    claims = rows(short)
    assert claims["puell_multiple"]["verdict"] == "not measurable"
    assert "to 2026-01-20" in str(claims["puell_multiple"]["finding"])
    assert claims["sent_in_january"]["verdict"] == "not measurable"
    assert claims["google_backstop"]["verdict"] == "reproduced"


def test_invented_chain_measures_only_what_the_registry_alone_states(inputs) -> None:
    claims = rows(build(replace(inputs, is_main_network=False)))
    measured = {name for name, row in claims.items() if row["verdict"] != "not measurable"}
    assert measured == {"google_backstop", "long_leases", "ai_capex"}
    assert claims["capitulation"]["finding"] == "The profile is of an invented or a test chain, not of the real one."


def test_claims_keep_the_order_of_the_article(built: Built) -> None:
    assert built.tables["claim"]["claim"].to_list() == [each.name for each in CLAIMS]
    assert CLAIM.key == ("claim",)
