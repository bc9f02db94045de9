"""The conversion days hold what had been announced by each day, and nothing that had not."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from itertools import permutations
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from schemas.registry import (
    BACKSTOP,
    CUSTOMER_CONTRACT,
    MINED,
    NEVER_MINED,
    OTHER_ANNOUNCEMENT,
    OTHER_SUPPORT,
    PARTLY_MINED,
    REGISTRY,
)
from transforms.derive import derive
from transforms.inputs.conversion import conversion_days
from transforms.inputs.deals import named_deals
from transforms.metrics.conversion import METRICS as CONVERSION
from transforms.metrics.economics import METRICS as ECONOMICS
from transforms.tables.deal_current import OTHERS, STARTER
from warehouse.registry import load_registry
from warehouse.registry_totals import totals

FIRST, LAST = date(2024, 3, 6), date(2026, 11, 22)

Row = dict[str, Any]


def table(name: str, rows: list[Row]) -> pl.DataFrame:
    """Rows of a registry table, every cell that is not given NULL."""
    types = {column: schema.dtype.type for column, schema in REGISTRY[name].columns.items()}
    return pl.DataFrame([dict.fromkeys(types) | row for row in rows], schema=types)


def registry(
    *,
    deals: Sequence[Row] = (),
    supports: Sequence[Row] = (),
    guidance: Sequence[Row] = (),
    deliveries: Sequence[Row] = (),
    quarters: Sequence[Row] = (),
) -> dict[str, pl.DataFrame]:
    known = {"as_of": date(2009, 1, 3), "known_at": date(2009, 1, 3)}
    assumed = {"gross_to_critical_ratio": 1.35, "relocated_ratio": 0.5, "noi_margin_ratio": 0.85}
    return {
        "conversion_deal": table("conversion_deal", [_known(row) for row in deals]),
        "deal_delivery": table("deal_delivery", [DELIVERED | row for row in deliveries]),
        "credit_support": table("credit_support", [_known(row) for row in supports]),
        "capex_guidance": table("capex_guidance", [_known(row) for row in guidance]),
        "capex_quarter": table("capex_quarter", [SPENT | row for row in quarters]),
        "lease_assumption": table("lease_assumption", [known | assumed]),
    }


SOURCED = {"source_url": "https://example.com/8-k"}
DELIVERED = {"deal_id": "A", "confidence": "reported", "split": "stated"}
SPENT = {"company": "amazon", "basis": "cash_purchases"} | SOURCED


def _known(row: Row) -> Row:
    """A row that was known on the day it was announced, unless it states another day."""
    return SOURCED | {"known_at": row.get("announced_on")} | row


def deal(**cells: Any) -> Row:
    return {"deal_id": "A", "kind": "contract", "confidence": "confirmed", "announced_on": date(2025, 1, 10)} | cells


def support(**cells: Any) -> Row:
    return {
        "deal_id": "A",
        "provider": "google",
        "kind": "guarantee",
        "amount_usd": 1_000_000,
        "announced_on": date(2025, 1, 10),
    } | cells


def guidance(**cells: Any) -> Row:
    return {
        "company": "amazon",
        "calendar_or_fiscal_year": "CY2026",
        "basis": "company",
        "low_usd": 100,
        "high_usd": 120,
        "announced_on": date(2026, 2, 5),
    } | cells


def published(tables: Mapping[str, pl.DataFrame], first: date = FIRST, last: date = LAST) -> dict[date, dict[str, Any]]:
    return {row["day"]: row for row in derived(conversion_days(tables, first, last)).iter_rows(named=True)}


def derived(days: pl.DataFrame) -> pl.DataFrame:
    """The published columns on a market that is the same every day."""
    return derive(days.with_columns(pl.lit(value).alias(name) for name, value in MARKET.items()), METRICS)


MARKET = {
    "hashrate_30d_ehs": 900.0,
    "miner_revenue_usd": 40e6,
    "revenue_usd_per_mwh": 49.2,
    "new_fleet_revenue_usd_per_mwh": 77.1,
    "all_in_usd_per_mwh": 55.5,
    "fleet_efficiency_j_per_th": 20.0,
    "fleet_pue_ratio": 1.0,
    "new_fleet_efficiency_j_per_th": 20.0,
    "new_fleet_pue_ratio": 1.0,
}
METRICS = (*CONVERSION, *ECONOMICS)


@pytest.fixture(scope="module")
def real() -> dict[str, pl.DataFrame]:
    return load_registry()


@pytest.fixture(scope="module")
def days(real: dict[str, pl.DataFrame]) -> dict[date, dict[str, Any]]:
    return published(real)


def test_google_backstop_is_what_was_announced_by_the_day(days: dict[date, dict[str, Any]]) -> None:
    actual = {
        date(2025, 8, 13): 0,
        date(2025, 8, 14): 1.8e9,
        date(2025, 8, 18): 3.2e9,
        date(2025, 9, 25): 4.6e9,
        date(2025, 10, 28): 5.9e9,  # Lake Mariner, Barber Lake and Abernathy
        date(2025, 11, 20): 6.233e9,
        date(2026, 2, 6): 6.233e9,
    }
    assert {day: days[day]["google_backstop_usd"] for day in actual} == actual


def test_capex_guidance_on_the_day_of_the_article_is_three_companies_own(days: dict[date, dict[str, Any]]) -> None:
    row = days[date(2026, 2, 5)]
    assert row["capex_guidance_company_count"] == 3
    assert (row["capex_guidance_low_usd"], row["capex_guidance_usd"], row["capex_guidance_high_usd"]) == (
        490e9,
        505e9,
        520e9,
    )


def test_capex_guidance_after_july_2026_is_four_companies(days: dict[date, dict[str, Any]]) -> None:
    row = days[date(2026, 7, 30)]
    # Microsoft's figure rests on a text without an address: 175 to 190 bn, which makes 720 to 760 of 545 to 570.
    assert (row["capex_guidance_low_usd"], row["capex_guidance_high_usd"]) == (545e9, 570e9)
    assert row["capex_guidance_with_unverified_usd"] == (720e9 + 760e9) / 2
    assert row["capex_guidance_company_count"] == 3


def test_capex_guidance_is_null_before_the_first_word_on_the_year(days: dict[date, dict[str, Any]]) -> None:
    for day in (date(2025, 10, 28), date(2026, 1, 1), date(2026, 1, 27)):
        assert days[day]["capex_guidance_usd"] is None
        assert days[day]["capex_guidance_low_usd"] is None
        assert days[day]["capex_guidance_company_count"] == 0
    assert days[date(2025, 12, 31)]["capex_guidance_usd"] == 288e9
    assert days[date(2026, 1, 28)]["capex_guidance_usd"] == 125e9


def test_lease_of_245_mw_adds_245_from_the_day_it_is_known(days: dict[date, dict[str, Any]]) -> None:
    before, after = days[date(2025, 12, 16)], days[date(2025, 12, 17)]
    assert after["contracted_critical_it_mw"] - before["contracted_critical_it_mw"] == 245
    assert after["contracted_gross_mw"] - before["contracted_gross_mw"] == 330
    assert after["contracted_value_usd"] - before["contracted_value_usd"] == 7.0e9
    assert after["deal_count"] - before["deal_count"] == 1
    assert after["backstop_usd"] == before["backstop_usd"]
    assert after["backstop_undisclosed_count"] - before["backstop_undisclosed_count"] == 1


def test_last_day_holds_the_totals_of_the_registry(days: dict[date, dict[str, Any]]) -> None:
    row = days[LAST]
    assert (row["deal_with_unverified_count"], row["deal_count"], row["other_announcement_count"]) == (46, 42, 5)
    assert (row["contracted_critical_it_with_unverified_mw"], row["contracted_critical_it_mw"]) == (6051, 5869)
    assert (row["contracted_value_with_unverified_usd"], row["contracted_value_usd"]) == (194.671e9, 188.646e9)
    assert row["lease_usd_per_mw_year"] == pytest.approx(1.96e6, abs=0.005e6)


def test_only_guarantees_and_letters_of_credit_are_backstops(
    real: dict[str, pl.DataFrame], days: dict[date, dict[str, Any]]
) -> None:
    others = real["credit_support"].filter(pl.col("kind").is_in(OTHER_SUPPORT))
    assert {"nvidia", "microsoft", "core42", "nscale"} <= set(others["provider"])
    assert days[LAST]["backstop_usd"] == days[LAST]["google_backstop_usd"]
    # Bitdeer's letter of credit was anticipated, and reported by a text without an address.
    assert days[LAST]["backstop_with_unverified_usd"] - days[LAST]["backstop_usd"] == 1.3e9
    for day in others["announced_on"]:
        assert days[day]["backstop_usd"] == days[day - timedelta(days=1)]["backstop_usd"]


def test_merger_that_was_voted_down_leaves_on_its_last_day(days: dict[date, dict[str, Any]]) -> None:
    counts = [days[date(2025, m, d)]["other_announcement_count"] for m, d in ((7, 6), (7, 7), (10, 29), (10, 30))]
    assert counts == [0, 1, 2, 1]


def test_nothing_announced_is_zero_and_what_has_no_value_is_null() -> None:
    row = published(registry(deals=[deal()]), date(2025, 1, 9), date(2025, 1, 9))[date(2025, 1, 9)]
    nulls = {name for name, value in row.items() if value is None}
    assert {
        "mean_term_years",
        "lease_usd_per_mw_year",
        "lease_to_mining_ratio",
        "parity_hashprice_usd_per_phs_day",
        "capex_usd_per_mw",
        "capex_guidance_usd",
        "capex_trailing_12m_usd",
        "top_tenant_share_pct",
        "top_guarantor_share_pct",
        "backstop_coverage_pct",
    } < nulls
    given = {m.name for m in METRICS if not m.nullable}
    assert given.isdisjoint(nulls)
    assert row["energised_bound_reason"] == "none_reported"
    assert all(row[name] == 0 for name in given - {"energised_bound_reason"})
    zero = ("brownfield_gross_mw", "displaced_hashrate_low_ehs", "displaced_hashrate_high_ehs", "share_removed_low_pct")
    assert [row[name] for name in zero] == [0] * 4


def test_empty_registry_gives_every_day() -> None:
    assert list(published(registry(), date(2024, 2, 27), date(2024, 3, 2))) == [
        date(2024, 2, 27) + timedelta(days=n) for n in range(5)
    ]


def test_last_day_before_the_first_is_refused() -> None:
    with pytest.raises(ValueError, match="2025-01-01 is before the first day 2025-01-02"):
        conversion_days(registry(), date(2025, 1, 2), date(2025, 1, 1))


def test_registry_older_than_the_first_day_is_counted_on_it() -> None:
    day = date(2026, 3, 1)
    row = published(registry(deals=[deal(critical_it_mw=7.0)], guidance=[guidance()]), day, day)[day]
    assert (row["contracted_critical_it_mw"], row["capex_guidance_usd"]) == (7, 110)


def test_row_without_a_day_counts_on_no_day() -> None:
    tables = registry(
        deals=[deal(announced_on=None, critical_it_mw=10.0)],
        supports=[support(announced_on=None)],
        guidance=[guidance(announced_on=None)],
    )
    last = published(tables)[LAST]
    assert (last["deal_count"], last["contracted_critical_it_mw"], last["backstop_usd"]) == (0, 0, 0)
    assert last["capex_guidance_company_count"] == 0


def test_terminated_deal_takes_its_power_and_backstop_with_it() -> None:
    ended = date(2025, 6, 1)
    tables = registry(
        deals=[deal(critical_it_mw=0.1, ended_on=ended), deal(deal_id="B", critical_it_mw=0.2, ended_on=ended)],
        supports=[support()],
    )
    rows = published(tables)
    before, after = rows[ended - timedelta(days=1)], rows[ended]
    assert (before["deal_count"], before["backstop_usd"]) == (2, 1_000_000)
    assert (after["deal_count"], after["backstop_usd"], after["contracted_critical_it_mw"]) == (0, 0, 0)


def test_support_announced_after_its_deal_counts_from_its_own_day() -> None:
    rows = published(registry(deals=[deal()], supports=[support(announced_on=date(2025, 3, 1))]))
    assert (rows[date(2025, 2, 28)]["backstop_usd"], rows[date(2025, 3, 1)]["backstop_usd"]) == (0, 1_000_000)


def test_unknown_power_is_counted_as_undisclosed_except_in_an_extension() -> None:
    rows = published(registry(deals=[deal(), deal(deal_id="B", kind="extension", term_years=20.0)]))
    assert rows[LAST]["critical_it_mw_undisclosed_count"] == 1
    assert rows[LAST]["contract_value_undisclosed_count"] == 2
    assert rows[LAST]["mean_term_years"] is None


def test_gpu_cloud_is_left_out_of_the_lease_price_but_not_of_the_value() -> None:
    terms = {"critical_it_mw": 100.0, "term_years": 10.0}
    tables = registry(
        deals=[
            deal(contract_value_usd=2_000_000_000, **terms),
            deal(deal_id="B", contract_value_usd=9_000_000_000, lease_type="gpu_cloud", **terms),
        ]
    )
    row = published(tables)[LAST]
    assert (row["contracted_value_usd"], row["lease_usd_per_mw_year"]) == (11e9, 2e6)


def test_version_of_a_deal_stands_until_the_next_one_is_known() -> None:
    later = date(2025, 3, 1)
    rows = published(
        registry(
            deals=[
                deal(critical_it_mw=224.0, superseded_at=later),
                deal(critical_it_mw=352.0, contract_value_usd=9_800_000_000, known_at=later),
            ]
        )
    )
    before, after = rows[later - timedelta(days=1)], rows[later]
    assert [(row["deal_count"], row["contracted_critical_it_mw"]) for row in (before, after)] == [(1, 224), (1, 352)]
    assert [row["contract_value_undisclosed_count"] for row in (before, after)] == [1, 0]


def test_unverified_deal_counts_only_where_the_name_includes_it() -> None:
    row = published(registry(deals=[deal(critical_it_mw=70.0, confidence="unverified")]))[LAST]
    assert (row["deal_count"], row["contracted_critical_it_mw"]) == (0, 0)
    assert (row["deal_with_unverified_count"], row["contracted_critical_it_with_unverified_mw"]) == (1, 70)


def test_green_field_displaces_nothing_and_a_mine_no_more_than_it_was() -> None:
    campus = deal(critical_it_mw=245.0, gross_mw=330.0, site_history="never_mined")
    mine = deal(deal_id="B", gross_mw=300.0, site_history="mined", prior_mining_mw=150.0)
    stopped = mine | {"mining_stopped_on": date(2025, 6, 30)}
    rows = published(registry(deals=[campus, stopped]))
    before, after = rows[date(2025, 6, 29)], rows[date(2025, 6, 30)]
    assert before["displaced_hashrate_high_ehs"] == after["displaced_hashrate_high_ehs"] == 150 / 20
    assert (before["displaced_hashrate_low_ehs"], after["displaced_hashrate_energised_ehs"]) == (0, 7.5)
    assert after["displaced_hashrate_low_ehs"] == 3.75
    assert after["brownfield_gross_mw"] == 300


def test_power_switched_on_at_a_former_mine_is_displaced_at_its_gross_power() -> None:
    on = {"energised_on": date(2025, 7, 1), "known_at": date(2025, 8, 1), "critical_it_mw": 100.0}
    rows = published(registry(deals=[deal(critical_it_mw=133.0, site_history="mined")], deliveries=[on]))
    before, after = rows[date(2025, 7, 31)], rows[date(2025, 8, 1)]
    assert (before["energised_critical_it_mw"], after["energised_critical_it_mw"]) == (None, 100)
    assert after["displaced_hashrate_energised_ehs"] == pytest.approx(100 * 1.35 / 20)
    assert after["brownfield_gross_imputed_mw"] == pytest.approx(133 * 1.35)


def test_spending_of_four_quarters_in_a_row_counts_once_the_last_is_known() -> None:
    ends = [date(2024, 3, 31), date(2024, 6, 30), date(2024, 9, 30), date(2024, 12, 31), date(2025, 6, 30)]
    quarters = [
        {"period_end": end, "capex_usd": 10**9 * (n + 1), "known_at": end + timedelta(days=40)}
        for n, end in enumerate(ends)
    ]
    quarters[0] |= {"source_url": None}
    rows = published(registry(quarters=quarters), date(2024, 12, 1), date(2025, 12, 1))
    known = date(2025, 2, 9)
    assert rows[known - timedelta(days=1)]["capex_trailing_12m_usd"] is None
    assert (rows[known]["capex_trailing_12m_usd"], rows[known]["capex_trailing_12m_unverified_usd"]) == (10e9, 1e9)
    # The first quarter of 2025 is missing, so the second one makes no year, and the old one gets too old.
    assert rows[date(2025, 7, 18)]["capex_trailing_12m_company_count"] == 1
    assert rows[date(2025, 7, 19)]["capex_trailing_12m_usd"] is None
    assert rows[date(2025, 12, 1)]["capex_trailing_12m_company_count"] == 0


def test_tenants_are_weighed_by_value_and_unnamed_ones_apart() -> None:
    worth = {"contract_value_usd": 1_000_000_000}
    rows = published(
        registry(
            deals=[
                deal(tenant="fluidstack", **worth),
                deal(deal_id="B", tenant="fluidstack", **worth),
                deal(deal_id="C", **worth),
                deal(deal_id="D", **worth),
            ],
            supports=[support(amount_usd=300), support(provider="amd", amount_usd=100)],
        )
    )
    row = rows[LAST]
    assert (row["top_tenant_share_pct"], row["tenant_hhi_index"]) == (50, 50**2 + 2 * 25**2)
    assert (row["top_guarantor_share_pct"], row["guarantor_hhi_index"]) == (75, 75**2 + 25**2)


@pytest.mark.parametrize(
    ("day", "column", "step"),
    [
        (date(2025, 12, 17), "contracted_critical_it_mw", 245),  # Hut 8 River Bend
        (date(2025, 8, 14), "google_backstop_usd", 1.8e9),  # TeraWulf Lake Mariner
        (date(2026, 7, 22), "contracted_value_usd", 10.4e9),  # the payments of Galaxy's second phase became known
    ],
)
def test_day_before_an_announcement_knows_nothing_of_it(
    real: dict[str, pl.DataFrame], day: date, column: str, step: float
) -> None:
    """A registry that ends the day before gives the same row for it as the whole one."""
    eve = day - timedelta(days=1)
    dated = {name: rows for name, rows in real.items() if "known_at" in rows.columns}
    then = real | {name: rows.filter(pl.col("known_at") <= eve) for name, rows in dated.items()}
    then["conversion_deal"] = then["conversion_deal"].with_columns(
        pl.when(pl.col(name) <= eve).then(pl.col(name)).alias(name) for name in ("superseded_at", "ended_on")
    )
    whole = published(real)
    assert published(then, FIRST, eve)[eve] == whole[eve]
    assert whole[day][column] - whole[eve][column] == pytest.approx(step)


def test_companys_latest_word_replaces_its_earlier_one_and_ends_with_its_year() -> None:
    rows = published(
        registry(
            guidance=[
                guidance(announced_on=date(2025, 11, 1)),
                guidance(announced_on=date(2026, 5, 1), low_usd=90, high_usd=90),
                guidance(announced_on=date(2026, 6, 1), low_usd=999, high_usd=999, basis="analyst"),
                guidance(announced_on=date(2026, 6, 2), low_usd=999, high_usd=999, calendar_or_fiscal_year="FY2026"),
                guidance(announced_on=date(2026, 6, 3), low_usd=7, high_usd=7, calendar_or_fiscal_year="CY2027"),
            ]
        ),
        date(2025, 10, 1),
        date(2028, 1, 1),
    )
    actual = {
        date(2025, 12, 31): None,  # it was about a year that had not begun
        date(2026, 1, 1): 110,
        date(2026, 4, 30): 110,
        date(2026, 5, 1): 90,
        date(2026, 12, 31): 90,
        date(2027, 1, 1): 7,
        date(2027, 12, 31): 7,
        date(2028, 1, 1): None,
    }
    assert {day: rows[day]["capex_guidance_usd"] for day in actual} == actual


WINDOW = (date(2025, 1, 1), date(2025, 3, 31))
window_days = st.dates(*WINDOW)
amounts = st.none() | st.integers(1, 10**11)
deal_rows = st.fixed_dictionaries(
    {
        "kind": st.sampled_from([*CUSTOMER_CONTRACT, *OTHER_ANNOUNCEMENT]),
        "confidence": st.sampled_from(["confirmed", "reported", "unverified"]),
        "lease_type": st.none() | st.sampled_from(["nnn", "gpu_cloud"]),
        "announced_on": st.none() | window_days,
        "ended_on": st.none() | window_days,
        "critical_it_mw": st.none() | st.floats(0.1, 2000),
        "gross_mw": st.none() | st.floats(0.1, 2000),
        "term_years": st.none() | st.floats(0.5, 30),
        "contract_value_usd": amounts,
        "site_history": st.none() | st.sampled_from([MINED, PARTLY_MINED, NEVER_MINED]),
        "prior_mining_mw": st.none() | st.floats(0.1, 2000),
        "mining_stopped_on": st.none() | window_days,
        "tenant": st.none() | st.sampled_from(["fluidstack", "coreweave"]),
        "source_url": st.none() | st.just("https://example.com/8-k"),
    }
)
delivery_rows = st.fixed_dictionaries(
    {
        "energised_on": window_days,
        "known_at": window_days,
        "critical_it_mw": st.floats(0.1, 500),
        "confidence": st.sampled_from(["reported", "unverified"]),
        "split": st.sampled_from(["stated", "imputed"]),
    }
)
quarter_rows = st.fixed_dictionaries(
    {
        "company": st.sampled_from(["amazon", "meta"]),
        "period_end": st.sampled_from([date(2024, 3, 31), date(2024, 6, 30), date(2024, 9, 30), date(2024, 12, 31)]),
        "capex_usd": st.integers(10**9, 10**11),
        "known_at": st.dates(date(2025, 1, 1), date(2025, 3, 31)),
    }
)
support_rows = st.fixed_dictionaries(
    {
        "provider": st.none() | st.sampled_from(["google", "amd"]),
        "kind": st.sampled_from([*BACKSTOP, *OTHER_SUPPORT]),
        "amount_usd": amounts,
        "announced_on": st.none() | window_days,
    }
)
guidance_rows = st.fixed_dictionaries(
    {
        "company": st.sampled_from(["amazon", "alphabet", "meta"]),
        "calendar_or_fiscal_year": st.sampled_from(["CY2024", "CY2025", "FY2025", "CY2026"]),
        "basis": st.sampled_from(["company", "analyst"]),
        "low_usd": st.integers(1, 10**11),
        "high_usd": st.integers(10**11, 10**12),
        "announced_on": st.none() | window_days,
    }
)


@st.composite
def registries(draw: st.DrawFn) -> dict[str, pl.DataFrame]:
    deals = [row | {"deal_id": f"D-{n}"} for n, row in enumerate(draw(st.lists(deal_rows, max_size=12)))]
    # Some deals are known anew: another version stands from then on.
    for row in [row for row in deals if row["announced_on"]]:
        if again := draw(st.none() | st.dates(row["announced_on"] + timedelta(days=1), date(2025, 4, 30))):
            later = draw(deal_rows) | {name: row[name] for name in ("deal_id", "announced_on", "ended_on")}
            deals.append(later | {"known_at": again})
            row["superseded_at"] = again
    names = sorted({row["deal_id"] for row in deals})
    steps = draw(st.lists(delivery_rows, max_size=6)) if names else []
    steps = [row | {"deal_id": draw(st.sampled_from(names))} for row in steps]
    quarters = draw(st.lists(quarter_rows, max_size=12, unique_by=lambda row: (row["company"], row["period_end"])))
    supports = draw(st.lists(support_rows, max_size=6)) if names else []
    supports = [row | {"deal_id": draw(st.sampled_from(names))} for row in supports]
    once = ("company", "calendar_or_fiscal_year", "basis", "announced_on")
    drawn = draw(st.lists(guidance_rows, max_size=8, unique_by=lambda row: tuple(row[name] for name in once)))
    return registry(deals=deals, supports=supports, guidance=drawn, deliveries=steps, quarters=quarters)


@given(tables=registries(), day=window_days)
def test_nothing_announced_after_a_day_changes_it_or_a_day_before(tables: dict[str, pl.DataFrame], day: date) -> None:
    known = {name: rows.filter(pl.col("known_at") <= day) for name, rows in tables.items()}
    known["conversion_deal"] = known["conversion_deal"].with_columns(
        pl.when(pl.col(name) <= day).then(pl.col(name)).alias(name) for name in ("ended_on", "superseded_at")
    )
    # A support whose deal is not known yet stands on its own day, until the deal ends.
    unknown = tables["conversion_deal"].filter(
        (pl.col("known_at") <= day).not_().fill_null(True)
        & ~pl.col("deal_id").is_in(known["conversion_deal"]["deal_id"].implode())
    )
    known["conversion_deal"] = pl.concat(
        [known["conversion_deal"], unknown.with_columns(pl.lit(None, pl.Date).alias("known_at"))]
    )
    assert_frame_equal(
        conversion_days(known, WINDOW[0], day), conversion_days(tables, WINDOW[0], day), check_exact=True
    )


@given(tables=registries(), seed=st.integers(0, 2**32))
def test_order_of_registry_rows_does_not_matter(tables: dict[str, pl.DataFrame], seed: int) -> None:
    shuffled = {name: rows.sample(fraction=1, shuffle=True, seed=seed) for name, rows in tables.items()}
    assert_frame_equal(conversion_days(shuffled, *WINDOW), conversion_days(tables, *WINDOW), check_exact=True)


def test_sum_is_taken_in_one_order_because_floats_are_not_associative() -> None:
    deals = [deal(deal_id=f"D-{n}", critical_it_mw=mw) for n, mw in enumerate((1e16, 1.0, -1e16))]
    sums = {
        published(registry(deals=[deals[n] for n in order]), LAST, LAST)[LAST]["contracted_critical_it_mw"]
        for order in permutations(range(3))
    }
    assert len(sums) == 1


@given(tables=registries(), cut=window_days)
def test_a_day_does_not_depend_on_where_the_calendar_begins_or_ends(tables: dict[str, pl.DataFrame], cut: date) -> None:
    whole = conversion_days(tables, *WINDOW)
    parts = [conversion_days(tables, WINDOW[0], cut), conversion_days(tables, cut, WINDOW[1]).slice(1)]
    assert_frame_equal(pl.concat(parts), whole, check_exact=True)


@given(tables=registries())
def test_parts_do_not_exceed_their_whole(tables: dict[str, pl.DataFrame]) -> None:
    days = derived(conversion_days(tables, *WINDOW))
    parts = {
        "google_backstop_usd": "backstop_usd",
        "contracted_critical_it_mw": "contracted_critical_it_with_unverified_mw",
        "contracted_value_usd": "contracted_value_with_unverified_usd",
        "leased_value_usd": "contracted_value_usd",
        "backstop_usd": "backstop_with_unverified_usd",
        "deal_count": "deal_with_unverified_count",
        "critical_it_mw_undisclosed_count": "deal_count",
        "contract_value_undisclosed_count": "deal_count",
        "capex_guidance_low_usd": "capex_guidance_high_usd",
    }
    for part, whole in parts.items():
        assert (days[part] <= days[whole] * (1 + 1e-12)).all(), part


@pytest.mark.parametrize("day", [date(2026, 3, 22), date(2026, 7, 21), LAST])
def test_current_deals_are_one_row_each_and_add_up_to_the_daily_table(
    real: dict[str, pl.DataFrame], days: dict[date, dict[str, Any]], day: date
) -> None:
    current = derive(named_deals(real, day), (*STARTER, *OTHERS))
    assert current["deal_id"].is_unique().all()
    assert current["miner_name"].null_count() == 0
    assert {"Cipher Digital", "TeraWulf"} <= set(current["miner_name"])
    counted = current.filter("is_binding", "is_verified")
    for column in ("critical_it_mw", "gross_mw", "contract_value_usd"):
        total = days[day][f"contracted_{column.removeprefix('contract_')}"]
        assert counted[column].cast(pl.Float64).sum() == total == current.filter("is_verified")[column].sum()
    assert counted.height == days[day]["deal_count"]
    assert current.filter("is_binding").height == days[day]["deal_with_unverified_count"]


def test_current_deal_is_the_version_of_the_day(real: dict[str, pl.DataFrame]) -> None:
    def value(day: date) -> int | None:
        return named_deals(real, day).filter(deal_id="GLXY-CRWV-P2")["contract_value_usd"].item()

    assert (value(date(2026, 7, 21)), value(date(2026, 7, 22))) == (None, 10_400_000_000)
    merger = named_deals(real, date(2025, 10, 29)).filter(deal_id="CORZ-CRWV-MERGER")
    assert merger.select("miner_name", "site", "tenant_name").rows() == [("Core Scientific", None, "CoreWeave")]
    assert "CORZ-CRWV-MERGER" not in named_deals(real, date(2025, 10, 30))["deal_id"]


def test_power_switched_on_is_never_nothing_where_nobody_stated_it(
    real: dict[str, pl.DataFrame], days: dict[date, dict[str, Any]]
) -> None:
    def shown(day: date) -> tuple[Any, ...]:
        return tuple(days[day][name] for name in ("energised_critical_it_mw", "energised_bound_reason"))

    assert shown(date(2024, 8, 6)) == (None, "none_reported")
    assert shown(date(2024, 8, 7)) == (16, "not_all_report")
    assert days[date(2024, 8, 6)]["energised_imputed_critical_it_mw"] is None
    # Core Scientific reported 350 MW on 2026-03-02; TeraWulf's 60 and Applied Digital's 100 were known by then.
    assert shown(date(2026, 3, 22)) == (350 + 60 + 100, "not_all_report")
    assert days[date(2026, 3, 22)]["energised_reported_on"] == date(2026, 3, 2)
    of_core = real["deal_delivery"].filter(
        pl.col("deal_id").str.starts_with("CORZ-"), pl.col("known_at") <= date(2026, 3, 22)
    )
    assert of_core["critical_it_mw"].sum() == 350
    assert of_core["source_url"].null_count() == 0
    assert shown(LAST) == (718, "unverified_left_out")


def test_registry_check_and_daily_table_have_one_figure_of_power_switched_on(
    real: dict[str, pl.DataFrame], days: dict[date, dict[str, Any]]
) -> None:
    stated = totals(real)
    assert stated["energised"] == f"{days[LAST]['energised_critical_it_mw']:g} MW"
    assert stated["energised with unverified"] == f"{days[LAST]['energised_critical_it_with_unverified_mw']:g} MW"
    ended = date(2026, 9, 1)
    over = pl.col("deal_id") == "GLXY-CRWV-P1"
    deals = real["conversion_deal"].with_columns(ended_on=pl.when(over).then(ended).otherwise("ended_on"))
    without = real | {"conversion_deal": deals}
    assert totals(without)["energised"] == f"{718 - 133} MW"
    assert published(without, ended, ended)[ended]["energised_critical_it_mw"] == 718 - 133
