"""Tables of a row a week, month, episode, company or exchange, and of one row, against slow sums and at their edges."""

import csv
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from transforms.build import Built, build
from transforms.derive import derive
from transforms.inputs.episodes import capitulation_episodes
from transforms.inputs.flow_shares import exchange_months
from transforms.inputs.megawatts import party_days
from transforms.inputs.periods import periods
from transforms.metrics.episodes import METRICS as EPISODES
from transforms.prepare import Inputs
from transforms.tables.megawatts_by_company import SUMS
from warehouse.registry import load_registry

Builder = Callable[..., pl.DataFrame]
REFERENCE = Path(__file__).parents[2] / "warehouse" / "reference"
FIRST = date(2024, 1, 1)
DAYS = 1_040
LAST = FIRST + timedelta(days=DAYS - 1)
SEEN = [date(2025, 1, 31), date(2025, 11, 20), date(2026, 3, 22), LAST]


@pytest.fixture(scope="module")
def built(inputs_of: Callable[..., Inputs], values_of: Builder, market: Callable[..., dict[str, list[float]]]) -> Built:
    """An invented market beside the real registry, of which the last day is not final."""
    now = datetime.combine(LAST, datetime.min.time(), tzinfo=UTC) + timedelta(hours=25)
    return build(inputs_of(values=values_of(FIRST, market(DAYS)), reference=load_registry(), now=now))


def cells(name: str) -> list[dict[str, str]]:
    """Rows of a table of the registry as they stand in its file."""
    with (REFERENCE / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def megawatts_of(party: str, day: date) -> dict[str, float]:
    """Verified contracted power by party on a day, summed up row by row."""
    found: dict[str, float] = defaultdict(float)
    for row in cells("conversion_deal"):
        ends = [row[name] for name in ("superseded_at", "ended_on") if row[name]]
        stands = row["known_at"] <= day.isoformat() and all(day.isoformat() < end for end in ends)
        if stands and row["kind"] in ("contract", "extension"):
            is_counted = row["confidence"] != "unverified" and row["critical_it_mw"]
            found[row[party] or "not_named"] += float(row["critical_it_mw"]) if is_counted else 0.0
    return dict(found)


@pytest.mark.parametrize("day", SEEN)
@pytest.mark.parametrize(("table", "party"), [("megawatts_by_company", "miner"), ("megawatts_by_tenant", "tenant")])
def test_megawatts_of_a_party_are_those_of_its_rows_in_the_registry(
    built: Built, table: str, party: str, day: date
) -> None:
    rows = built.tables[table].filter(pl.col("day") == day)
    assert dict(rows.select(party, "contracted_critical_it_mw").iter_rows()) == pytest.approx(megawatts_of(party, day))


@pytest.mark.parametrize("table", ["megawatts_by_company", "megawatts_by_tenant"])
def test_parties_add_up_to_the_daily_table_on_every_day(built: Built, table: str) -> None:
    names = [m.name for m in SUMS]
    # A sum over parties of which none has a delivery is unknown, not 0.
    known = [pl.when(pl.col(name).count() > 0).then(pl.col(name).sum()) for name in names]
    summed = built.tables[table].group_by("day").agg(known).sort("day")
    daily = built.tables["conversion_daily"].join(summed.select("day"), on="day", how="semi").select("day", *names)
    assert summed.height > 950
    for name in names:
        difference = summed[name].cast(pl.Float64) - daily[name].cast(pl.Float64)
        assert (summed[name].is_null() == daily[name].is_null()).all(), name
        assert difference.abs().max() < 1e-6 * daily[name].cast(pl.Float64).max(), name


def test_power_that_is_on_goes_with_the_tenant_of_the_day(registry_table: Builder) -> None:
    """A contract that another tenant takes over, after half of it was switched on."""
    version = {
        **{"deal_id": "A", "kind": "contract", "miner": "riot", "confidence": "reported", "critical_it_mw": 100.0},
        **{"lease_type": "nnn", "announced_on": date(2025, 1, 1)},
    }
    deals = [
        version | {"known_at": date(2025, 1, 1), "superseded_at": date(2025, 1, 5), "tenant": "amd"},
        version | {"known_at": date(2025, 1, 5), "tenant": None, "ended_on": date(2025, 1, 8)},
    ]
    on = {"deal_id": "A", "energised_on": date(2025, 1, 3), "known_at": date(2025, 1, 3), "confidence": "reported"}
    registry = {
        "conversion_deal": registry_table("conversion_deal", deals),
        "deal_delivery": registry_table("deal_delivery", [on | {"critical_it_mw": 50.0, "split": "stated"}]),
        "company": registry_table("company", [{"company": "amd", "name": "AMD", "role": "tenant"}]),
    }
    days = party_days(registry, "tenant", SUMS, date(2025, 1, 10))
    seen = days.select(pl.col("day").dt.day(), "tenant", "tenant_name", "energised_critical_it_mw").rows()
    assert seen == [
        *((n, "amd", "AMD", None if n < 3 else 50.0) for n in range(1, 5)),
        *((n, "not_named", "not_named", 50.0) for n in range(5, 8)),
    ]


@pytest.mark.parametrize(
    ("table", "start", "weekday", "lengths"),
    [("capitulation_weekly", "week_start", 1, {7}), ("capitulation_monthly", "month_start", None, {28, 29, 30, 31})],
)
def test_periods_are_the_days_in_them(
    built: Built, table: str, start: str, weekday: int | None, lengths: set[int]
) -> None:
    rows, days = built.tables[table], built.tables["capitulation_daily"]
    assert rows["day_count"].sum() == days.height
    assert set(rows["day_count"][1:-1]) <= lengths
    assert weekday is None or set(rows[start].dt.weekday()) == {weekday}
    assert rows["is_final"].to_list() == [rows["day_count"][0] in lengths, *[True] * (rows.height - 2), False]
    states = days["capitulation_state"]
    assert rows["state_day_count"].sum() == states.count()
    assert rows["squeeze_day_count"].sum() == (states == "squeeze").sum()
    assert rows["capitulation_day_count"].sum() == states.is_in(["capitulation", "deep_capitulation"]).sum()
    one = rows.row(20, named=True)
    inside = [day for day in days.iter_rows(named=True) if one[start] <= day["day"]][: one["day_count"]]
    assert one["miner_revenue_usd"] == pytest.approx(sum(day["miner_revenue_usd"] for day in inside))
    assert one["miner_to_exchange_btc"] == pytest.approx(sum(day["miner_to_exchange_btc"] for day in inside))
    assert one["hashrate_mean_ehs"] == pytest.approx(sum(day["hashrate_ehs"] for day in inside) / len(inside))
    assert one["price_end_usd"] == inside[-1]["price_usd"]


def test_sum_of_a_week_that_lacks_a_day_is_unknown_and_a_mean_is_not(built: Built) -> None:
    days = built.tables["capitulation_daily"].filter(pl.col("day").is_between(date(2025, 6, 2), date(2025, 6, 15)))
    gap = pl.when(pl.col("day") != date(2025, 6, 4))
    holed = days.with_columns(gap.then(name).alias(name) for name in ("miner_outflow_btc", "puell_issuance_ratio"))
    first, second = periods(holed, "week_start", "1w").iter_rows(named=True)
    assert first["miner_outflow_btc"] is None
    assert second["miner_outflow_btc"] == pytest.approx(days["miner_outflow_btc"][7:].sum())
    known = [value for value in holed["puell_issuance_ratio"][:7] if value is not None]
    assert first["puell_issuance_mean_ratio"] == pytest.approx(sum(known) / 6)
    assert first["is_final"]


def test_latest_is_the_newest_final_day_with_a_score(built: Built) -> None:
    latest = built.tables["latest"].row(0, named=True)
    assert built.tables["latest"].height == 1
    assert latest["day"] == LAST - timedelta(days=1)
    for table in ("capitulation_daily", "conversion_daily", "security_daily"):
        day = built.tables[table].row(by_predicate=pl.col("day") == latest["day"], named=True)
        shared = [name for name in day if name in latest and name != "sources"]
        assert len(shared) >= 14
        assert {name: day[name] for name in shared} == {name: latest[name] for name in shared}
    assert latest["sources"] == "registry,simulated"


# Episodes


def episode_rows(states: dict[int, str], days: int, **columns: list[float]) -> list[dict[str, Any]]:
    """Episodes of days that are normal but for `states`, by number of the day; the price rises from 100 by 1 a day."""
    first = date(2020, 1, 1)
    frame = pl.DataFrame(
        {
            "day": [first + timedelta(days=n) for n in range(days)],
            "capitulation_state": [states.get(n, "normal") for n in range(days)],
            "capitulation_score": [70.0 + n if n in states else 10.0 for n in range(days)],
            "puell_issuance_ratio": [0.5 - n / 1000 for n in range(days)],
            "hash_ribbon_spread_pct": [-3.0] * days,
            "score_income_level": [20.0] * days,
            "score_income_per_hash": [25.0] * days,
            "score_hashrate": [25.0 + n if n in states else 5.0 for n in range(days)],
            "price_usd": [100.0 + n for n in range(days)],
            "hashrate_ehs": [50.0] * days,
            "miner_revenue_usd": [1e6] * days,
            "sources": ["simulated"] * days,
        }
        | columns
    )
    cores = pl.DataFrame(
        {
            "episode": ["P1", "N1", "P2"],
            "core_start_on": [first, first + timedelta(days=6), first + timedelta(days=190)],
            "core_end_on": [first + timedelta(days=5), first + timedelta(days=8), first + timedelta(days=300)],
        }
    )
    return derive(capitulation_episodes(frame, cores), EPISODES).rows(named=True)


def test_days_no_more_than_fourteen_apart_are_one_capitulation() -> None:
    deep = "deep_capitulation"
    one, other = episode_rows({5: "capitulation", 6: deep, 20: "capitulation", 35: deep}, 260)
    assert (one["started_on"], one["ended_on"]) == (date(2020, 1, 6), date(2020, 1, 21))
    assert (one["day_count"], one["deep_day_count"], one["capitulation_max_score"]) == (3, 1, 90.0)
    assert one["puell_issuance_min_ratio"] == pytest.approx(0.48)
    assert (one["stress_episode"], other["stress_episode"]) == ("P1 N1", None)
    assert (one["price_at_start_usd"], one["price_at_end_usd"]) == (105.0, 120.0)
    after = [one[f"price_change_{n}d_after_pct"] for n in (30, 90, 180)]
    assert after == pytest.approx([25.0, 75.0, 150.0])
    assert (other["started_on"], other["ended_on"], other["day_count"]) == (date(2020, 2, 5), date(2020, 2, 5), 1)


def test_episode_states_its_peak_what_made_it_and_what_ended_it() -> None:
    one, *_ = episode_rows({5: "capitulation", 6: "deep_capitulation", 20: "capitulation"}, 60)
    assert (one["between_day_count"], one["peaked_on"]) == (13, date(2020, 1, 21))
    parts = [one[f"peak_{name}"] for name in ("score_income_level", "score_income_per_hash", "score_hashrate")]
    assert parts == [20.0, 25.0, 45.0]
    assert sum(parts) == one["capitulation_max_score"]
    assert (one["ended_by"], one["state_after"]) == ("hashrate", "normal")
    income = [20.0] * 21 + [0.0] * 39
    (richer,) = episode_rows({20: "capitulation"}, 60, score_income_level=income, score_hashrate=[45.0] * 60)
    assert (richer["ended_by"], richer["started_on"]) == ("income", date(2020, 1, 21))
    (lasting,) = episode_rows({20: "capitulation"}, 30)
    assert (lasting["ended_by"], lasting["state_after"], lasting["peaked_on"]) == (None, None, date(2020, 1, 21))


def test_falls_of_an_episode_are_from_the_highest_week_of_the_year_before() -> None:
    days, last_week = 420, range(394, 401)
    falling = [200.0 if n < 10 else 100.0 if n < 380 else 50.0 for n in range(days)]
    rates = [80.0 if n in last_week else 100.0 for n in range(days)]
    (episode,) = episode_rows({400: "capitulation"}, days, price_usd=falling, hashrate_ehs=rates)
    # The price of 200 lies more than a year back.
    assert episode["price_drawdown_min_pct"] == pytest.approx(-50.0)
    assert episode["hashrate_drawdown_min_pct"] == pytest.approx(-20.0)
    assert episode["revenue_drawdown_min_pct"] == 0.0
    (early,) = episode_rows({100: "capitulation"}, days)
    assert early["price_drawdown_min_pct"] is None


@pytest.mark.parametrize(("days", "ended_on"), [(14, None), (15, date(2020, 1, 1))])
def test_capitulation_has_ended_once_fourteen_days_without_one_have_followed(days: int, ended_on: date | None) -> None:
    (episode,) = episode_rows({0: "capitulation"}, days)
    assert episode["ended_on"] == ended_on
    assert (episode["price_at_end_usd"] is None) == (ended_on is None)
    assert episode["price_change_30d_after_pct"] is None


def test_days_without_a_capitulation_have_no_episode() -> None:
    assert episode_rows({}, 40) == []


# Flows by exchange


def flows_of(rows: list[tuple[date, str, int]]) -> pl.DataFrame:
    schema = {"day": pl.Date, "exchange": pl.String, "transfer_sat": pl.Int64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def totals_of(sums: dict[date, int]) -> pl.DataFrame:
    return pl.DataFrame(
        {"day": list(sums), "transfer_sat": list(sums.values()), "is_final": [True] * len(sums)},
        schema={"day": pl.Date, "transfer_sat": pl.Int64, "is_final": pl.Boolean},
    )


def test_what_the_exchanges_lack_of_the_total_is_not_named() -> None:
    one, other, end = date(2026, 1, 5), date(2026, 1, 31), date(2026, 2, 3)
    flows = flows_of([(one, "binance", 30), (one, "kraken", 20), (other, "binance", 10)])
    outflow = pl.DataFrame({"day": [one, other, end], "miner_outflow_btc": [1.0, 2.0, None]})
    months = exchange_months(flows, totals_of({one: 70, other: 10, end: 5}), outflow)
    names = ["exchange", "transfer_sat", "month_transfer_sat", "month_outflow_btc", "stated_day_count", "is_final"]
    january = (80, 3.0, 2, True)
    assert months.select(names).rows() == [
        ("binance", 40, *january),
        ("kraken", 20, *january),
        ("not_named", 20, *january),
        ("not_named", 5, 5, None, 1, False),
    ]


def test_vendor_that_names_no_exchange_has_one_row_a_month(built: Built) -> None:
    months = built.tables["flow_by_exchange"]
    assert set(months["exchange"]) == {"not_named"}
    assert months["month_start"].is_unique().all()
    assert set(months["exchange_share_pct"]) == {100.0}
    january = months.row(by_predicate=pl.col("month_start") == date(2025, 1, 1), named=True)
    days = built.tables["capitulation_daily"].filter(pl.col("day").dt.truncate("1mo") == date(2025, 1, 1))
    assert january["miner_to_exchange_btc"] == pytest.approx(days["miner_to_exchange_btc"].sum())
    share = 100 * days["miner_to_exchange_btc"].sum() / days["miner_outflow_btc"].sum()
    assert january["outflow_share_pct"] == pytest.approx(share)
