"""The files profile over real vendor data, checked against figures that nobody here computed."""

import json
import re
import statistics
from collections import Counter
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest

from tests import tieouts
from tests.docs.cookbook import Question, found_rows, questions
from tests.docs.pages import blocks
from tests.invocation import invoke
from tests.publication_facts import double_counted, nulls_without_reason
from tests.run.raw_figures import capitulation_days, in_capitulation, registry, vendor_series
from warehouse.views import SCHEMA

Query = Callable[[str], list[dict[str, Any]]]


@pytest.fixture(scope="module")
def publication(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the files profile has published the vendor data."""
    folder = tmp_path_factory.mktemp("files")
    done = invoke(folder, "daily", "--plain", "--profile", "files", HASHPIVOT_FILES_DIR=str(shared_data.resolve()))
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def query(publication: Path) -> Query:
    def rows(statement: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = json.loads(
            invoke(publication, "sql", statement, "--json", "--limit", "10000").stdout
        )
        return rows

    return rows


def test_puell_multiple_of_3_february_2026_is_the_published_one(query: Query) -> None:
    (row,) = query("select puell_issuance_ratio, sources from capitulation_daily where day = '2026-02-03'")
    assert row["puell_issuance_ratio"] == pytest.approx(0.6864, abs=0.0005)
    assert "coinmetrics_export" in row["sources"]


def test_revenue_changes_of_5_february_2026_are_the_published_ones(query: Query) -> None:
    (row,) = query(
        "select revenue_change_30d_raw_pct, revenue_change_30d_pct, sustainability_zone "
        "from capitulation_daily where day = '2026-02-05'"
    )
    assert row["revenue_change_30d_raw_pct"] == pytest.approx(-33.23, abs=0.02)
    assert row["revenue_change_30d_pct"] == pytest.approx(-23.28, abs=0.02)
    assert row["sustainability_zone"] == "extremely_underpaid"


def test_price_is_of_coin_metrics_and_what_miners_were_paid_of_cryptoquant(query: Query) -> None:
    rows = query(
        "select column_name, sources from meta.columns where table_name = 'capitulation_daily' "
        "and column_name in ('price_usd', 'issuance_btc', 'fees_btc', 'puell_issuance_ratio', 'revenue_change_30d_pct')"
    )
    both = "coinmetrics_export,cryptoquant_export"
    assert {row["column_name"]: row["sources"] for row in rows} == {
        "price_usd": "coinmetrics_export",
        **dict.fromkeys(("issuance_btc", "fees_btc"), "cryptoquant_export"),
        **dict.fromkeys(("puell_issuance_ratio", "revenue_change_30d_pct"), both),
    }


def test_miners_sent_177_274_btc_to_exchanges_in_january_2026(query: Query) -> None:
    (row,) = query(
        "select sum(miner_to_exchange_btc) as total, max(miner_to_exchange_btc) as largest from capitulation_daily "
        "where day between '2026-01-01' and '2026-01-31'"
    )
    assert row["total"] == pytest.approx(177_274, abs=1)
    assert row["largest"] == pytest.approx(10_026, abs=1)


def test_flow_table_holds_the_same_total_as_flow_to_all_exchanges(query: Query) -> None:
    (row,) = query(
        "select sum(miner_to_exchange_btc) as total, any_value(sources) as sources from exchange_flow_total_daily "
        "where day between '2026-01-01' and '2026-01-31'"
    )
    assert row["total"] == pytest.approx(177_274, abs=1)
    assert row["sources"] == "cryptoquant_export"


def test_mean_transfer_is_the_total_over_the_count(query: Query) -> None:
    rows = query(
        "select count(*) as days, "
        "max(abs(miner_to_exchange_mean_btc - miner_to_exchange_btc / miner_to_exchange_count)) "
        "as apart from capitulation_daily where miner_to_exchange_count > 0"
    )
    assert rows[0]["days"] > 5_000
    assert rows[0]["apart"] <= 1e-9


def test_hash_rate_agrees_with_the_vendors_within_a_hundredth_of_a_percent(query: Query, shared_data: Path) -> None:
    ours = pl.DataFrame(
        query("select day, hashrate_ehs from capitulation_daily where day >= '2021-01-01'")
    ).with_columns(pl.col("day").str.to_date())
    theirs = pl.read_csv(shared_data / "coinmetrics" / "btc.csv", infer_schema_length=None).select(
        pl.col("time").str.to_date().alias("day"), (pl.col("HashRate") / 1e6).alias("vendor_ehs")
    )
    both = ours.join(theirs, on="day", validate="1:1").drop_nulls()
    assert both.height > 1_900
    assert both.select((pl.col("hashrate_ehs") / pl.col("vendor_ehs") - 1).abs().median()).item() <= 1e-4


def test_blocks_of_the_pools_are_the_vendors_blocks_within_one_percent(query: Query) -> None:
    rows = pl.DataFrame(
        query(
            "select day, sum(p.block_count) as pool_blocks, any_value(c.block_count) as vendor_blocks "
            "from pool_daily as p join capitulation_daily as c using (day) where c.block_count is not null group by day"
        )
    )
    assert rows.height > 1_900
    assert rows.select((pl.col("pool_blocks") / pl.col("vendor_blocks") - 1).abs().max()).item() <= 0.01


@pytest.mark.parametrize(("day", "backstop_usd"), [(date(2026, 2, 6), 6.233e9), (date(2025, 8, 13), 0)])
def test_google_stands_behind_the_leases_it_had_announced_by_then(query: Query, day: date, backstop_usd: float) -> None:
    assert query(f"select google_backstop_usd from conversion_daily where day = '{day}'") == [
        {"google_backstop_usd": backstop_usd}
    ]


def test_february_2026_is_a_capitulation_by_our_rules_but_not_by_glassnodes_on_the_third(query: Query) -> None:
    rows = {
        row["day"]: row
        for row in query(
            "select day, capitulation_state, rule_glassnode_risk, mpi_zscore from capitulation_daily "
            "where day between '2026-01-22' and '2026-02-06'"
        )
    }
    assert rows["2026-02-05"]["capitulation_state"] == "capitulation"
    assert rows["2026-02-03"]["rule_glassnode_risk"] is False
    assert rows["2026-02-05"]["mpi_zscore"] > rows["2026-01-22"]["mpi_zscore"]


def test_conditions_of_the_compared_rules_can_be_repeated_on_the_published_days(query: Query) -> None:
    rules = query("select rule, condition, first_day, last_day, day_count from rule_comparison")
    assert len(rules) == 10
    for rule in rules:
        ((count,),) = (
            row.values()
            for row in query(
                f"select count(*) as days from capitulation_daily where ({rule['condition']}) "
                f"and day between '{rule['first_day']}' and '{rule['last_day']}'"
            )
        )
        assert count == rule["day_count"], rule["rule"]


def test_day_without_a_price_states_the_reason(query: Query) -> None:
    (row,) = query(
        "select price_usd, miner_outflow_usd, miner_outflow_btc > 0 as flows "
        "from capitulation_daily where day = '2026-03-25'"
    )
    assert row == {"price_usd": None, "miner_outflow_usd": None, "flows": True}
    (reason,) = query(
        "select reason from meta.nulls where table_name = 'capitulation_daily' and column_name = 'miner_outflow_usd' "
        "and date '2026-03-25' between first_day and last_day"
    )
    assert reason["reason"] == "no observation of price_usd"


def test_every_null_has_a_reason_and_no_table_counts_anything_twice(publication: Path) -> None:
    database = publication / "data" / "published" / "hashpivot.duckdb"
    assert nulls_without_reason(database) == []
    assert double_counted(database) == {}


# The cookbook, whose results are those of this publication.


@pytest.fixture(scope="module")
def cookbook() -> dict[int, Question]:
    return questions()


@pytest.mark.parametrize("number", range(1, 11))
def test_query_of_the_cookbook_gives_what_the_page_states(
    publication: Path, cookbook: dict[int, Question], number: int
) -> None:
    question = cookbook[number]
    assert len(question.query.splitlines()) <= 5
    assert set(re.findall(r"\b(?:from|join) (\w+)", question.query)) == {SCHEMA}
    with duckdb.connect(str(publication / "data" / "published" / "hashpivot.duckdb"), read_only=True) as connection:
        assert found_rows(connection, question) == (question.columns, question.rows)


def test_leases_of_the_cookbook_are_rows_of_the_registry(cookbook: dict[int, Question]) -> None:
    leases = registry(
        "select announced_on::varchar, critical_it_mw, term_years from {conversion_deal} "
        "where {standing} and miner = 'terawulf' order by 1, 2"
    )
    stated = cookbook[1]
    assert leases == list(
        zip(stated.column("announced_on"), stated.numbers("critical_it_mw"), stated.numbers("term_years"), strict=True)
    )
    pairs = registry(
        "select m.name, coalesce(t.name, 'not_named'), count(*), sum(d.critical_it_mw) as mw "
        "from {conversion_deal} as d join {company} as m on m.company = d.miner "
        "left join {company} as t on t.company = d.tenant "
        "where {standing} group by 1, 2 having mw > 400 order by mw desc, 1"
    )
    stated = cookbook[2]
    names = zip(stated.column("miner_name"), stated.column("tenant_name"), strict=True)
    assert [(miner, tenant) for miner, tenant, *_ in pairs] == list(names)
    assert [pair[2:] for pair in pairs] == list(
        zip(stated.numbers("deal_count"), stated.numbers("critical_it_mw"), strict=True)
    )


def test_supports_and_years_of_the_cookbook_are_sums_over_the_registry(cookbook: dict[int, Question]) -> None:
    supports = registry(
        "select c.name, count(*), sum(s.amount_usd) from {credit_support} as s "
        "join {company} as c on c.company = s.provider "
        "where s.kind in ('guarantee', 'letter_of_credit') and s.source_url is not null group by 1 order by 1"
    )
    stated = cookbook[8]
    assert [support[0] for support in supports] == stated.column("provider_name")
    assert [support[1] for support in supports] == stated.numbers("support_count")
    amounts = ["NULL" if support[2] is None else f"{support[2]:,.0f}" for support in supports]
    assert amounts == stated.column("amount_usd")
    announced = registry(
        "select year(announced_on), sum(critical_it_mw) from {conversion_deal} where {standing} group by 1 order by 1"
    )
    on = registry(
        "select year(energised_on), sum(critical_it_mw) from {deal_delivery} where confidence <> 'unverified' "
        "group by 1 order by 1"
    )
    stated = cookbook[10]
    years = stated.numbers("year")
    assert announced == list(zip(years, stated.numbers("announced_critical_it_mw"), strict=True))
    assert on == list(zip(years, stated.numbers("switched_on_critical_it_mw"), strict=True))


def test_leases_of_the_cookbook_earn_what_their_rows_state(cookbook: dict[int, Question]) -> None:
    stated = cookbook[9]
    for day, usd in zip(stated.column("day"), stated.numbers("lease_usd_per_mw_year"), strict=True):
        ((found,),) = registry(
            "select sum(contract_value_usd) / sum(critical_it_mw * term_years) from {conversion_deal} "
            f"where known_at <= '{day}' and coalesce(superseded_at > '{day}', true) "
            f"and coalesce(ended_on > '{day}', true) and confidence <> 'unverified' and lease_type <> 'gpu_cloud' "
            "and kind in ('contract', 'extension') "
            "and contract_value_usd is not null and critical_it_mw is not null and term_years is not null"
        )
        assert found == pytest.approx(usd, abs=0.5)


def test_flows_of_the_cookbook_are_sums_of_the_vendors_files(cookbook: dict[int, Question], shared_data: Path) -> None:
    sent, left = (
        sum(
            value
            for day, value in vendor_series(shared_data, f"cryptoquant/{name} - Day.csv", "date", value).items()
            if (day.year, day.month) == (2026, 1)
        )
        for name, value in (
            ("Bitcoin Miner to Exchange Flow (Total) - All Miners, All Exchanges", "Miner to Exchange Flow (Total)"),
            ("Bitcoin Miner Outflow (Total) - All Miners", "Miner Outflow (Total)"),
        )
    )
    stated = cookbook[3]
    assert stated.column("exchange") == ["not_named"]
    assert stated.numbers("miner_to_exchange_btc") == [pytest.approx(sent, abs=0.5)]
    assert stated.numbers("outflow_share_pct") == [pytest.approx(100 * sent / left, abs=0.05)]


def test_capitulations_of_the_cookbook_are_those_of_the_rule_worked_out_from_the_vendors_files(
    cookbook: dict[int, Question], shared_data: Path
) -> None:
    """By another count of blocks on a few days, so that a day at a limit may differ."""
    parts = capitulation_days(shared_data)
    days = in_capitulation({day: points for day, points in parts.items() if day >= date(2011, 8, 1)})
    years = Counter(day.year for day in days)
    stated = dict(zip(cookbook[4].numbers("year"), cookbook[4].numbers("capitulation_day_count"), strict=True))
    assert years == pytest.approx(stated, abs=1)
    begun = [day for day in days if not any(day - timedelta(days=n) in days for n in range(1, 15))]
    found = [date.fromisoformat(day) for day in cookbook[5].column("started_on")]
    assert len(begun) == len(found)
    assert all(abs((one - other).days) <= 1 for one, other in zip(begun, found, strict=True))
    price = vendor_series(shared_data, "coinmetrics/btc.csv", "time", "PriceUSD")
    for ended, after in zip(cookbook[5].column("ended_on"), cookbook[5].column("after_90d_pct"), strict=True):
        end = date.fromisoformat(ended)
        later = price.get(end + timedelta(days=90))
        assert after == ("NULL" if later is None else f"{100 * (later / price[end] - 1):.1f}")
    moved = dict(zip(cookbook[7].column("part"), cookbook[7].numbers("points"), strict=True))
    level, per_hash, hashrate = parts[date(2026, 3, 22)]
    expected = {"score_income_level": level, "score_income_per_hash": per_hash, "score_hashrate": hashrate}
    assert moved == pytest.approx(expected, abs=0.2)


def test_episodes_state_what_the_vendors_files_show(query: Query, shared_data: Path) -> None:
    """Falls of the price from the vendor's file; the winter of 2014-15, in which hash rate grew, is missed and said."""
    price = vendor_series(shared_data, "coinmetrics/btc.csv", "time", "PriceUSD")
    parts = capitulation_days(shared_data)

    def week(day: date) -> float:
        return statistics.fmean(price[day - timedelta(days=n)] for n in range(7))

    episodes = query("select * from capitulation_episode order by started_on")
    assert len(episodes) == 6
    for episode in episodes:
        first, last = date.fromisoformat(episode["started_on"]), date.fromisoformat(episode["ended_on"])
        days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
        falls = [100 * (week(day) / max(week(day - timedelta(days=n)) for n in range(365)) - 1) for day in days]
        assert episode["price_drawdown_min_pct"] == pytest.approx(min(falls), rel=1e-6)
        at_peak = parts[date.fromisoformat(episode["peaked_on"])]
        stated = [episode[f"peak_score_{name}"] for name in ("income_level", "income_per_hash", "hashrate")]
        assert stated == pytest.approx(at_peak, abs=1.0)
        # In each of them machines came back before the income did.
        assert (episode["ended_by"], episode["state_after"]) == ("hashrate", "squeeze")
    missed = query(f"select * from {SCHEMA}.stress_without_capitulation")
    assert [(row["episode"], row["squeeze_day_count"], row["state_day_count"]) for row in missed] == [("P2", 89, 89)]
    assert missed[0]["capitulation_max_score"] < 60


def test_show_episodes_lists_them_and_those_that_were_missed(publication: Path) -> None:
    shown = invoke(publication, "show", "episodes").stdout
    days = [line.split()[0] for line in shown.splitlines() if line.startswith("20")]
    assert days == ["2011-10-06", "2018-11-18", "2020-04-03", "2022-07-15", "2022-12-19", "2026-02-02"]
    assert "Missed: distress P2, 2014-12-01 to 2015-02-27; 89 of 89 days were a squeeze, highest score 50.0." in shown
    rows = json.loads(invoke(publication, "show", "episodes", "--json").stdout)
    assert [row["stress_episode"] for row in rows] == ["P1", "P3", "P4", "P5", "P6", "P7"]


def test_page_of_tie_outs_is_that_of_this_publication(publication: Path, shared_data: Path) -> None:
    written = tieouts.page(publication / "data" / "published", shared_data)
    assert written == tieouts.PAGE.read_text("utf-8"), "run `python -m tests.tieouts`"


def test_tie_out_finds_what_is_apart_and_needs_days_that_both_state() -> None:
    days = [date(2020, 1, 1) + timedelta(days=n) for n in range(101)]
    theirs = {day: 100.0 + n % 7 for n, day in enumerate(days)}
    ours = {day: value * (1.5 if day == days[50] else 1.01) for day, value in theirs.items() if day != days[99]}
    tied = tieouts.tie_out(ours, theirs)
    assert tied is not None
    assert (tied.days_count, tied.first, tied.last, tied.largest_on) == (100, days[0], days[-1], days[50])
    assert (tied.median_pct, tied.p95_pct, tied.largest_pct) == pytest.approx((1.0, 1.0, 50.0))
    assert tied.correlation < 0.9
    scaled = tieouts.tie_out({day: 3 * value for day, value in theirs.items()}, theirs)
    assert scaled is not None
    assert scaled.correlation == pytest.approx(1.0)
    assert tieouts.tie_out({days[0]: 1.0}, theirs) is None


def test_what_was_left_out_has_a_notice(query: Query) -> None:
    notices = " ".join(
        row["check_name"] + row["detail"] for row in query("select * from meta.quality where severity = 'notice'")
    )
    assert "2026-03-23" in notices
    assert "pools-v2.json" in notices


def test_vendor_terms_travel_with_the_tables(query: Query) -> None:
    (row,) = query("select licence from meta.tables where table_name = 'capitulation_daily'")
    assert "no commercial use" in row["licence"]
    assert "no redistribution" in row["licence"]


def test_second_run_gives_the_same_bytes(publication: Path, shared_data: Path) -> None:
    def tables() -> dict[str, bytes]:
        folder = publication / "data/published/parquet"
        return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.parquet")}

    before = tables()
    done = invoke(publication, "daily", "--plain", "--profile", "files", HASHPIVOT_FILES_DIR=str(shared_data.resolve()))
    assert done.returncode == 0, done.stderr
    assert tables() == before


def test_page_of_the_backtest_has_the_figures_of_a_run(publication: Path) -> None:
    (shown,) = (block.text for block in blocks("text") if block.page == "docs/backtest.md")
    assert invoke(publication, "backtest").stdout == shown
