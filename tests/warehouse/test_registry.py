"""The packaged registry is sound and adds up; a registry with one thing wrong is refused by name, line and value."""

import csv
import re
from collections.abc import Callable
from datetime import date
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from schemas.errors import BadInputError
from schemas.registry import CUSTOMER_CONTRACT, REGISTRY, UNVERIFIED, row_rules
from schemas.registry_rules import DEAL_RANGES, GPU_CLOUD
from warehouse.registry import REFERENCE, check_past, checked, load_registry, read_sheet, readable, registry_digest

Table = list[list[str]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for table in REGISTRY:
        (tmp_path / f"{table}.csv").write_bytes(REFERENCE.joinpath(f"{table}.csv").read_bytes())
    return tmp_path


def rewrite(folder: Path, table: str, change: Callable[[Table], object]) -> None:
    path = folder / f"{table}.csv"
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    change(rows)
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


def set_cell(folder: Path, table: str, key: str, column: str, value: str) -> int:
    """Write one cell of the first row that holds the cell `key`; return the line it is on."""
    line = 0

    def change(rows: Table) -> None:
        nonlocal line
        line = next(i for i, row in enumerate(rows) if key in row) + 1
        rows[line - 1][rows[0].index(column)] = value

    rewrite(folder, table, change)
    return line


def live_deals() -> pl.DataFrame:
    return load_registry()["conversion_deal"].filter(pl.col("ended_on").is_null(), pl.col("superseded_at").is_null())


@pytest.mark.parametrize(
    ("year", "rows", "critical_it_mw", "value_bn_usd"),
    [(2024, 7, 578, 8.83), (2025, 20, 2421, 75.20), (2026, 24, 3052, 110.65)],
)
def test_deals_of_a_year_add_up_to_the_totals_of_the_notes(
    year: int, rows: int, critical_it_mw: float, value_bn_usd: float
) -> None:
    deals = live_deals().filter(pl.col("announced_on").dt.year() == year)
    assert deals.height == rows
    assert deals["critical_it_mw"].sum() == critical_it_mw
    assert deals["contract_value_usd"].sum() / 1e9 == pytest.approx(value_bn_usd, abs=0.006)


def test_all_deals_add_up_to_the_totals_of_the_notes() -> None:
    deals = live_deals()
    sourced = deals.filter(pl.col("confidence") != UNVERIFIED)
    assert (deals.height, deals["critical_it_mw"].sum(), deals["contract_value_usd"].sum()) == (
        51,
        6051,
        194_671_000_000,
    )
    assert (sourced["critical_it_mw"].sum(), sourced["contract_value_usd"].sum()) == (5869, 188_646_000_000)
    assert deals.filter(pl.col("kind").is_in(CUSTOMER_CONTRACT)).height == 46


def test_applied_digital_and_gpu_cloud_hold_the_parts_of_the_notes() -> None:
    deals = live_deals()
    applied = deals.filter(pl.col("miner") == "applied_digital")
    cloud = deals.filter(pl.col("lease_type") == GPU_CLOUD, pl.col("miner") == "iren")
    assert (applied["critical_it_mw"].sum(), applied["contract_value_usd"].sum()) == (1410, 36_200_000_000)
    assert cloud["contract_value_usd"].sum() == 15_900_000_000


def test_backstop_of_a_lease_covers_the_share_of_its_value_that_was_published() -> None:
    registry = load_registry()
    leases = pl.col("site").is_in(["lake_mariner", "barber_lake", "abernathy"])
    shares = (
        registry["conversion_deal"]
        .filter(leases, pl.col("announced_on").dt.year() == 2025, pl.col("deal_id") != "CIFR-FLUID-2025-11")
        .group_by("site")
        .agg(100 * pl.col("backstop_usd").sum() / pl.col("contract_value_usd").sum())
    )
    assert dict(shares.rows()) == pytest.approx(
        {"lake_mariner": 47.8, "barber_lake": 46.7, "abernathy": 13.7}, abs=0.05
    )


def test_capex_of_2025_agrees_with_the_notes() -> None:
    quarters = load_registry()["capex_quarter"]
    spent = quarters.filter(pl.col("period_end").dt.year() == 2025, pl.col("company") != "oracle")
    by_company = spent.group_by("company").agg(pl.len(), pl.col("capex_usd").sum() / 1e9)
    assert {c: n for c, n, _ in by_company.rows()} == dict.fromkeys(("alphabet", "amazon", "meta", "microsoft"), 4)
    published = {"microsoft": 83.1, "alphabet": 91.4, "amazon": 131.8, "meta": 72.2}
    assert {c: usd for c, _, usd in by_company.rows()} == pytest.approx(published, abs=0.06)


@pytest.mark.parametrize("table", REGISTRY)
def test_every_column_has_a_description_with_its_unit(table: str) -> None:
    schema = REGISTRY[table]
    assert schema.description
    for name, column in schema.columns.items():
        assert column.description, name
        assert (column.metadata or {}).get("unit"), name


@pytest.mark.parametrize("table", REGISTRY)
def test_rules_of_a_table_read_its_own_columns(table: str) -> None:
    for rule in row_rules(REGISTRY[table]):
        assert rule.columns
        assert set(rule.columns) <= set(REGISTRY[table].columns), rule.statement


BROKEN_CELLS = [
    # table, a cell that finds the row, column, value written, value named in the message, what was expected
    ("conversion_deal", "RIOT-AMD-2026-01", "critical_it_mw", "25 MW", "25 MW", "plain number"),
    ("conversion_deal", "RIOT-AMD-2026-01", "critical_it_mw", "nan", "nan", "MW from"),
    ("conversion_deal", "RIOT-AMD-2026-01", "critical_it_mw", "inf", "inf", "MW from"),
    ("conversion_deal", "RIOT-AMD-2026-01", "critical_it_mw", "25000", "25000.0", "MW from"),
    ("conversion_deal", "RIOT-AMD-2026-01", "critical_it_mw", "-25", "-25.0", "MW from"),
    ("conversion_deal", "RIOT-AMD-2026-01", "contract_value_usd", "311", "311", "USD from 1000000"),
    ("conversion_deal", "RIOT-AMD-2026-01", "contract_value_usd", "311000000.5", "311000000.5", "whole number"),
    ("conversion_deal", "RIOT-AMD-2026-01", "contract_value_usd", "311,000,000", "311,000,000", "whole number"),
    ("conversion_deal", "RIOT-AMD-2026-01", "announced_on", "16.01.2026", "16.01.2026", "a date like 2026-02-05"),
    ("conversion_deal", "RIOT-AMD-2026-01", "announced_on", "2026-1-16", "2026-1-16", "a date like 2026-02-05"),
    ("conversion_deal", "RIOT-AMD-2026-01", "announced_on", "2026-02-30", "2026-02-30", "a date like 2026-02-05"),
    ("conversion_deal", "RIOT-AMD-2026-01", "announced_on", "2206-01-16", "'2206-01-16'", "a day from 2009-01-03"),
    ("conversion_deal", "RIOT-AMD-2026-01", "status", "signed", "signed", "one of announced"),
    ("conversion_deal", "RIOT-AMD-2026-01", "kind", "", "None", "a value"),
    ("conversion_deal", "RIOT-AMD-2026-01", "lease_type", "triple", "triple", "one of nnn"),
    ("conversion_deal", "RIOT-AMD-2026-01", "confidence", "sure", "sure", "one of confirmed"),
    ("conversion_deal", "RIOT-AMD-2026-01", "source_url", "riot.com", "riot.com", "http"),
    ("company", "riot", "ticker", "Riot", "Riot", "capital letters"),
    ("conversion_deal", "RIOT-AMD-2026-01", "miner", " riot", " riot", "without blanks"),
    ("conversion_deal", "RIOT-AMD-2026-01", "site_part", " Phase I", " Phase I", "without blanks"),
    ("conversion_deal", "RIOT-AMD-2026-01", "lease_type", "other", "other", "one of nnn"),
    ("conversion_deal", "RIOT-AMD-2026-01", "known_at", "", "None", "a value"),
    ("conversion_deal", "RIOT-AMD-2026-01", "site_history", "green", "green", "one of mined"),
    ("conversion_deal", "RIOT-AMD-2026-01", "superseded_at", "2026-05-01", "2026-05-01", "no version follows"),
    ("conversion_deal", "GLXY-CRWV-P2", "superseded_at", "2026-07-21", "2026-07-21", "2026-07-22, when the next"),
    ("deal_delivery", "GLXY-CRWV-P1", "deal_id", "GLXY-P1", "GLXY-P1", "conversion_deal.csv; near it: GLXY-CRWV-P1"),
    ("deal_delivery", "GLXY-CRWV-P1", "critical_it_mw", "134", "134.0", "at most the 133 MW of GLXY-CRWV-P1"),
    ("deal_delivery", "GLXY-CRWV-P1", "energised_on", "2025-03-27", "2025-03-27", "2025-03-28 on, when the deal"),
    ("capex_quarter", "alphabet", "basis", "gross", "gross", "one of cash_purchases"),
    ("capex_quarter", "alphabet", "known_at", "2022-03-31", "2022-03-31", "period_end before known_at"),
    ("asic_price", "2022-04-18", "machine_usd_per_th", "8000", "8000.0", "USD per TH/s from"),
    ("power_price", "2025-12-23", "scope", "host", "host", "one of network"),
    ("lease_assumption", "2024-01-01", "noi_margin_ratio", "85", "85.0", "ratio from 0 to 1"),
    ("proxy_pool", "poolin", "proxy_group", "AntPool", "AntPool", "small letters"),
    ("outage_event", "Winter Storm Fern", "end_on", "2026-01-22", "2026-01-22", "start_on not after end_on"),
    ("conversion_deal", "RIOT-AMD-2026-01", "backstop_usd", "5000000", "5000000", "the sum of the guarantees"),
    ("conversion_deal", "WULF-FLUID-2025-08A", "backstop_usd", "", "None", "1800000000, the sum of the guarantees"),
    ("credit_support", "HUT-FLUID-RB-2025-12", "deal_id", "HUT-FLUID-RB", "HUT-FLUID-RB", "conversion_deal.csv"),
    ("credit_support", "HUT-FLUID-RB-2025-12", "kind", "promise", "promise", "one of guarantee"),
    ("credit_support", "HUT-FLUID-RB-2025-12", "amount_usd", "-1", "-1", "USD from 0"),
    ("site", "odessa", "current_use", "bitcoin", "bitcoin", "one of mining"),
    ("site", "odessa", "energized_mw", "207000", "207000.0", "MW from"),
    ("capex_quarter", "alphabet", "capex_usd", "9786", "9786", "USD from 1000000"),
    ("capex_quarter", "alphabet", "fiscal_quarter", "Q5", "Q5", "one of Q1"),
    ("capex_quarter", "alphabet", "period_end", "2022-03-30", "'2022-03-30'", "last day of a month"),
    ("capex_guidance", "amazon", "calendar_or_fiscal_year", "2025", "2025", "like CY2026"),
    ("capex_guidance", "amazon", "basis", "rumour", "rumour", "one of company"),
    ("capex_guidance", "amazon", "low_usd", "", "None", "a value"),
    ("miner_fleet", "cango", "power_cost_usd_per_kwh", "40", "40.0", "USD/kWh from 0 to 1"),
    ("company", "cango", "cik", "0001725123x", "0001725123x", "whole number"),
    ("asic_model", "Antminer S9", "watts", "1.323", "1.323", "W from 100"),
]


@pytest.mark.parametrize(("table", "key", "column", "written", "named", "expected"), BROKEN_CELLS)
def test_broken_cell_is_named_by_file_line_column_and_value(
    folder: Path, table: str, key: str, column: str, written: str, named: str, expected: str
) -> None:
    line = set_cell(folder, table, key, column, written)
    with pytest.raises(BadInputError) as caught:
        load_registry(folder)
    message = str(caught.value)
    assert message.startswith(f"{table}.csv line {line}, column")
    assert re.search(rf"columns? ([\w, ]+, )?{column}\b", message), message
    assert named in message
    assert expected in message


CONTRADICTED = [
    # table, a cell that finds the row, column, value written, lines further down where it shows, the message
    ("asic_model", "Antminer S17e", "model", "Antminer S9", -1, "no other row"),
    ("conversion_deal", "GLXY-CRWV-P2", "announced_on", "2025-04-21", 1, "2025-04-21, as in the first version"),
    ("conversion_deal", "GLXY-CRWV-P3", "deal_id", "GLXY-CRWV-P1", -8, "2025-08-15, when the next version is known"),
]


@pytest.mark.parametrize("written", ["=cmd|' /C calc'!A0", "-1+1", "\x1b[2Jnotes", "no\x00tes", "\u202eseton"])
def test_cell_that_a_terminal_or_a_spreadsheet_would_carry_out_is_refused(folder: Path, written: str) -> None:
    set_cell(folder, "asic_model", "Antminer S9", "notes", written)
    with pytest.raises(BadInputError, match="notes") as refused:
        load_registry(folder)
    assert str(refused.value).isprintable()
    assert "begins with none of" in str(refused.value)


@pytest.mark.parametrize(("table", "key", "column", "written", "below", "message"), CONTRADICTED)
def test_row_that_contradicts_another_is_rejected_by_its_line(
    folder: Path, table: str, key: str, column: str, written: str, below: int, message: str
) -> None:
    line = set_cell(folder, table, key, column, written)
    with pytest.raises(BadInputError, match=rf"^{table}\.csv line {line + below}, column") as caught:
        load_registry(folder)
    assert message in caught.value.expected


BROKEN_RULES = [
    ("conversion_deal", "HUT-FLUID-RB-2025-12", "gross_mw", "244", "critical_it_mw at most gross_mw"),
    ("conversion_deal", "HUT-FLUID-RB-2025-12", "with_extensions_value_usd", "6000000000", "at most with_extensions"),
    ("conversion_deal", "CIFR-FLUID-2025-11", "backstop_usd", "2000000001", "at most the value it stands behind"),
    ("conversion_deal", "MARA-STARWOOD-2026-02", "critical_it_mw", "1000", "unless a customer is bound"),
    ("conversion_deal", "CIFR-FLUID-EXT-2026-09", "critical_it_mw", "207", "an extension adds no power"),
    ("conversion_deal", "CORZ-CRWV-MERGER", "ended_on", "", "exactly where status is terminated"),
    ("conversion_deal", "HUT-FLUID-RB-2025-12", "ended_on", "2026-05-01", "exactly where status is terminated"),
    ("conversion_deal", "CORZ-CRWV-MERGER", "ended_on", "2025-07-06", "announced_on not after ended_on"),
    ("conversion_deal", "HUT-FLUID-RB-2025-12", "expected_full_delivery", "2027-01-01", "expected_start not after"),
    ("conversion_deal", "HUT-FLUID-RB-2025-12", "announced_on", "2028-01-01", "announced_on not after"),
    ("conversion_deal", "CORZ-CRWV-2024-08", "confidence", "reported", "unverified where source_url is empty"),
    ("conversion_deal", "CORZ-CRWV-2024-08", "url_read", "read", "url_read given exactly where source_url is"),
    ("capex_guidance", "alphabet", "low_usd", "94000000000", "low_usd at most high_usd"),
    ("capex_guidance", "FY2027", "notes", "", "notes say where a row without source_url comes from"),
    ("asic_model", "Antminer S9", "j_per_th", "89", "within 2% of watts / ths"),
]


def assert_names(error: BadInputError, table: str, line: int, column: str, expected: str) -> None:
    assert error.place.startswith(f"{table}.csv line {line}, column")
    assert column in error.place
    assert expected in error.expected


@pytest.mark.parametrize(("table", "key", "column", "written", "rule"), BROKEN_RULES)
def test_broken_row_rule_is_named_with_the_cells_it_reads(
    folder: Path, table: str, key: str, column: str, written: str, rule: str
) -> None:
    line = set_cell(folder, table, key, column, written)
    with pytest.raises(BadInputError) as caught:
        load_registry(folder)
    assert_names(caught.value, table, line, column, rule)


SEC = "https://www.sec.gov/Archives/edgar/data"
IMPLAUSIBLE = [
    # table, a cell that finds the row, column, value written, what was expected
    ("conversion_deal", "HUT-FLUID-RB-2025-12", "noi_usd", "69000000000", "noi_usd over contract_value_usd from 0.3"),
    ("conversion_deal", "HUT-FLUID-RB-2025-12", "noi_usd", "690000000", "noi_usd over contract_value_usd from 0.3"),
    ("conversion_deal", "RIOT-AMD-2026-01", "capex_usd", "89800000000", "capex_usd over megawatts from 1 to 25"),
    ("conversion_deal", "CORZ-AMD-2026-07", "capex_usd", "600000000000", "capex_usd over megawatts from 1 to 25"),
    ("conversion_deal", "WULF-FLUID-2025-08A", "gross_mw", "2500", "gross_mw over critical_it_mw from 1 to 2"),
    ("conversion_deal", "CIFR-AWS-2025-11", "gross_mw", "3000", "megawatts and years of a lease from 0.5"),
    ("conversion_deal", "CRUSOE-MSFT-2026-03", "gross_mw", "9000", "power of one deal from 1 to 4000 MW"),
    ("conversion_deal", "BTBT-CEREBRAS-2025-02", "term_years", "1.5", "term_years of a lease from 3"),
    ("conversion_deal", "HUT-HIGHRISE-2024-09", "term_years", "0.5", "term_years of GPU cloud from 1"),
    ("conversion_deal", "RIOT-AMD-2026-01", "contract_value_usd", "31100000", "a lease from 0.5 to 6"),
    ("conversion_deal", "IREN-MSFT-2025-11", "contract_value_usd", "970000000", "of GPU cloud from 3 to 30"),
    (
        "conversion_deal",
        "RIOT-AMD-2026-01",
        "with_extensions_value_usd",
        "10000000000",
        "with_extensions_value_usd over",
    ),
    ("conversion_deal", "HUT-FLUID-RB-2025-12", "escalator_pct", "0.03", "escalator_pct, in percent"),
    ("tenant_funding", "90300000", "capex_usd", "121300000000", "tenant_funded_usd over capex_usd from 0.05"),
    ("tenant_funding", "90300000", "tenant_funded_usd", "903000000", "tenant_funded_usd over capex_usd from 0.05"),
    ("lease_assumption", "2024-01-01", "escalator_pct", "0.03", "escalator_pct, in percent"),
    (
        "conversion_deal",
        "RIOT-AMD-2026-01",
        "source_url",
        f"{SEC}/1167419/riot.htm",
        "/Archives/edgar/data/CIK/18 digits",
    ),
    (
        "conversion_deal",
        "RIOT-AMD-2026-01",
        "source_url",
        "https://www.cnbc.com/2026/01/16/a.html",
        "address of a filing",
    ),
    ("conversion_deal", "GLXY-CRWV-P1", "source_url", "https://www.prnewswire.com/galaxy", "nine digits"),
    ("conversion_deal", "APLD-PF2-2025-10", "source_url", "https://www.globenewswire.com/a/b.html", "day and number"),
]


@pytest.mark.parametrize(("table", "key", "column", "written", "expected"), IMPLAUSIBLE)
def test_figure_name_or_address_that_cannot_be_is_refused(
    folder: Path, table: str, key: str, column: str, written: str, expected: str
) -> None:
    line = set_cell(folder, table, key, column, written)
    with pytest.raises(BadInputError) as caught:
        checked(read_sheet(folder, table))
    assert_names(caught.value, table, line, column, expected)


UNKNOWN_REFERENCES = [
    # table, a cell that finds the row, column, value written, the end of what was expected
    ("conversion_deal", "HUT-FLUID-RB-2025-12", "backstop_provider", "gooogle", "; near it: google"),
    ("credit_support", "HUT-FLUID-RB-2025-12", "provider", "Google", "; near it: google"),
    ("conversion_deal", "HUT-FLUID-RB-2025-12", "tenant", "fluidstak", "; near it: fluidstack"),
    ("conversion_deal", "HUT-FLUID-RB-2025-12", "miner", "Hut-8", "; near it: hut_8"),
    ("conversion_deal", "HUT-FLUID-RB-2025-12", "site", "River Bend", "; near it: river_bend"),
    (
        "conversion_deal",
        "HUT-FLUID-RB-2025-12",
        "site",
        "Not stated",
        "a site of site.csv, where a new one is a new row",
    ),
    ("capex_quarter", "alphabet", "company", "Alphabeth", "; near it: alphabet"),
    ("asic_model", "Antminer S9", "maker", "Bitmian", "; near it: bitmain"),
    ("site", "odessa", "operator", "Cipher Mining", "; near it: cipher"),  # by the name it had before
    ("miner_fleet", "hive", "miner", "BUZZ HPC", "; near it: hive"),
    ("capex_guidance", "amazon", "company", "aws", "a company of company.csv, where a new one is a new row"),
    ("company", "whitefiber", "parent", "Bit Digitl", "; near it: bit_digital"),
    ("company_name", "Bitfarms", "company", "kel", "; near it: keel"),
]


@pytest.mark.parametrize(("table", "key", "column", "written", "expected"), UNKNOWN_REFERENCES)
def test_company_or_site_that_is_not_in_its_table_is_refused_with_near_ones(
    folder: Path, table: str, key: str, column: str, written: str, expected: str
) -> None:
    line = set_cell(folder, table, key, column, written)
    with pytest.raises(BadInputError) as caught:
        load_registry(folder)
    assert_names(caught.value, table, line, column, expected)


def test_typed_company_or_site_is_refused_before_the_row_is_whole(folder: Path) -> None:
    assert readable("site", "operator", "cipher", folder) is None
    problem = readable("site", "operator", "Cipher Mining", folder)
    assert problem is not None
    assert problem.startswith("found 'Cipher Mining', expected a company of company.csv")
    assert problem.endswith("; near it: cipher")
    rewrite(folder, "company", lambda rows: rows.append(["acme", "Acme", "miner", "", "", "", "", "Invented", ""]))
    assert readable("site", "operator", "acme", folder) is None
    assert readable("site", "operator", "acme") is not None


def test_groups_of_companies_are_trees_and_joint_ventures_belong_to_the_miner(folder: Path) -> None:
    line = set_cell(folder, "company", "bit_digital", "parent", "whitefiber")
    with pytest.raises(
        BadInputError, match=rf"^company\.csv line {line}, column parent: .* does not belong to this one"
    ):
        load_registry(folder)
    set_cell(folder, "company", "bit_digital", "parent", "")
    line = set_cell(folder, "conversion_deal", "HUT-FLUID-RB-2025-12", "joint_venture", "terawulf_fluidstack")
    with pytest.raises(BadInputError, match=rf"^conversion_deal\.csv line {line}, .* whose parent is the miner"):
        load_registry(folder)


def test_one_company_has_one_short_name_whatever_it_was_called() -> None:
    registry = load_registry()
    named = dict(registry["company_name"].select("name", "company").rows())
    assert (named["Cipher Mining"], named["BUZZ HPC"], named["Bitfarms"]) == ("cipher", "hive", "keel")
    deals = registry["conversion_deal"]
    by_prefix = deals.select(pl.col("deal_id").str.extract("^([A-Z]+)-"), "miner").unique()
    one_each = by_prefix.filter(pl.col("deal_id").is_in(["CIFR", "HIVE", "WULF"])).sort("deal_id")
    assert one_each.rows() == [("CIFR", "cipher"), ("HIVE", "hive"), ("WULF", "terawulf")]
    assert deals.filter(pl.col("deal_id") == "WULF-FLUID-ABER-2025-10")["joint_venture"].item() == "terawulf_fluidstack"
    company = registry["company"].filter(pl.col("company") == "cipher").row(0, named=True)
    assert (company["name"], company["ticker"], company["cik"]) == ("Cipher Digital", "CIFR", 1_819_989)
    no_sites = {"Company", "Not stated", "Multiple"}
    assert not no_sites & {*registry["site"]["name"], *deals["site"], *deals["site_part"]}


def test_days_after_today_are_refused_but_for_plans(folder: Path) -> None:
    last_edit = date(2026, 9, 30)
    check_past(folder, last_edit)  # deliveries are expected until 2028
    line = set_cell(folder, "conversion_deal", "RIOT-LAB-2026-08", "known_at", "2027-08-10")
    expected = rf"^conversion_deal\.csv line {line}, column known_at: found '2027-08-10', expected a day up to today"
    with pytest.raises(BadInputError, match=expected):
        check_past(folder, last_edit)


@pytest.mark.parametrize("digit", [10, 0.1])
@pytest.mark.parametrize("plausible", [each for each in DEAL_RANGES if each.unit != "MW"], ids=lambda each: each.what)
def test_ranges_hold_every_deal_and_few_that_are_off_by_a_digit(plausible, digit: float) -> None:
    deals = load_registry()["conversion_deal"]
    known = (deals if plausible.where is None else deals.filter(plausible.where)).select(plausible.ratio).to_series()
    known = known.drop_nulls()
    assert known.is_between(plausible.least, plausible.most).all()
    off = (known * digit).is_between(plausible.least, plausible.most)
    assert off.sum() == 0 or (plausible.what, digit) == ("capex_usd over megawatts", 0.1)


def test_steps_of_a_deal_that_states_no_power_are_taken(folder: Path) -> None:
    before = load_registry(folder)["deal_delivery"]
    set_cell(folder, "conversion_deal", "GLXY-CRWV-P1", "critical_it_mw", "")
    assert load_registry(folder)["deal_delivery"].equals(before)


@pytest.mark.parametrize("table", REGISTRY)
def test_missing_column_is_named(folder: Path, table: str) -> None:
    rewrite(folder, table, lambda rows: [row.pop(2) for row in rows])
    name = list(REGISTRY[table].columns)[2]
    with pytest.raises(BadInputError, match=rf"^{table}\.csv line 1: found 'no column {name}'"):
        load_registry(folder)


@pytest.mark.parametrize("table", REGISTRY)
def test_unknown_column_is_named(folder: Path, table: str) -> None:
    rewrite(folder, table, lambda rows: [row.append("rating") for row in rows])
    with pytest.raises(BadInputError, match=rf"^{table}\.csv line 1: found 'rating'"):
        load_registry(folder)


def test_column_given_twice_is_refused(folder: Path) -> None:
    rewrite(folder, "site", lambda rows: [row.append(row[0]) for row in rows])
    with pytest.raises(BadInputError, match="column site twice"):
        load_registry(folder)


def test_row_with_a_cell_too_many_is_named_by_its_line(folder: Path) -> None:
    rewrite(folder, "site", lambda rows: rows[4].append("Texas"))
    with pytest.raises(BadInputError, match=r"^site\.csv line 5: found '13 cells', expected 12 cells"):
        load_registry(folder)


def test_line_is_counted_in_the_file_not_in_rows(folder: Path) -> None:
    path = folder / "asic_model.csv"
    lines = path.read_text(encoding="utf-8").splitlines()
    broken = lines[1].replace("1323", "many")
    path.write_text("\n".join([lines[0], "", *lines[2:4], "", broken]) + "\n", encoding="utf-8")
    with pytest.raises(BadInputError, match=r"^asic_model\.csv line 6, column watts: found 'many'"):
        load_registry(folder)


def test_first_broken_row_of_several_is_reported(folder: Path) -> None:
    set_cell(folder, "asic_model", "Antminer S21", "released", "2206-01-01")
    line = set_cell(folder, "asic_model", "Antminer S17e", "ths", "0.5")
    with pytest.raises(BadInputError, match=rf"^asic_model\.csv line {line}, column"):
        load_registry(folder)


def test_unclosed_quote_is_refused(folder: Path) -> None:
    path = folder / "miner_fleet.csv"
    path.write_text(path.read_text(encoding="utf-8") + 'Riot,"RIOT', encoding="utf-8")
    with pytest.raises(BadInputError, match=r"^miner_fleet\.csv line \d+: .* double quotes closed"):
        load_registry(folder)


def test_file_that_is_not_utf8_is_refused(folder: Path) -> None:
    path = folder / "site.csv"
    path.write_bytes(path.read_bytes() + "Namsskøgan".encode("latin-1"))
    with pytest.raises(BadInputError, match=r"^site\.csv byte \d+: .* expected UTF-8"):
        load_registry(folder)


def test_missing_file_is_named(folder: Path) -> None:
    (folder / "capex_quarter.csv").unlink()
    for read in (load_registry, registry_digest):
        with pytest.raises(BadInputError, match=r"capex_quarter\.csv"):
            read(folder)


def test_order_of_rows_and_columns_means_nothing(folder: Path) -> None:
    for table in REGISTRY:
        rewrite(folder, table, lambda rows: rows.__setitem__(slice(1, None), rows[:0:-1]))
        rewrite(folder, table, lambda rows: [row.reverse() for row in rows])
    packaged, turned = load_registry(), load_registry(folder)
    for table in REGISTRY:
        assert_frame_equal(turned[table], packaged[table])


def test_byte_order_mark_and_windows_line_ends_mean_nothing(folder: Path) -> None:
    for table in REGISTRY:
        path = folder / f"{table}.csv"
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    packaged, saved = load_registry(), load_registry(folder)
    for table in REGISTRY:
        assert_frame_equal(saved[table], packaged[table])


def test_table_without_rows_keeps_its_columns_and_types(folder: Path) -> None:
    rewrite(folder, "miner_fleet", lambda rows: rows.__delitem__(slice(1, None)))
    fleet = load_registry(folder)["miner_fleet"]
    assert fleet.is_empty()
    assert fleet.schema == load_registry()["miner_fleet"].schema


def test_digest_follows_every_registry_file_and_no_other(folder: Path) -> None:
    before = registry_digest(folder)
    assert before == registry_digest()
    (folder / "another.csv").write_text("as_of\n", encoding="utf-8")
    assert registry_digest(folder) == before
    for table in REGISTRY:
        path = folder / f"{table}.csv"
        path.write_bytes(path.read_bytes() + b"\n")
        after = registry_digest(folder)
        assert after != before
        before = after
