"""What one vendor's files give by themselves, where they are at hand: real rows, each layout laid out when it runs."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest

from flows.settings import read_profile
from flows.sources.files.folder import Files
from flows.sources.protocol import Request
from schemas.check import failed
from schemas.observations import Batch, ObservedTable
from transforms.build import Built, build
from transforms.prepare import Inputs
from warehouse.registry import load_registry

NOW = datetime(2026, 11, 22, tzinfo=UTC)
FIFTH = date(2026, 2, 5)


def built_from(folder: Path, inputs_of: Callable[..., Inputs]) -> Built:
    """Every table from the daily values of the files in `folder`, by the profile for files."""
    found = Files(folder).observe(Request(since=None, through=NOW.date(), now=NOW))
    daily = [each for each in found if isinstance(each, Batch) and each.table is ObservedTable.DAILY_VALUE]
    values = pl.concat(batch.rows.select(pl.lit(batch.source).alias("source"), pl.all()) for batch in daily)
    precedence = read_profile("files").precedence
    return build(inputs_of(values=values, precedence=precedence, reference=load_registry(), now=NOW))


def written(folder: Path, name: str, frame: pl.DataFrame) -> None:
    """The frame as an export whose first column is `date`."""
    path = folder / name
    path.parent.mkdir(exist_ok=True, parents=True)
    frame.write_csv(path)


def export_of(folder: Path, metric: str) -> pl.DataFrame:
    """One of the vendor's real exports."""
    (path,) = (path for path in folder.glob("*.csv") if path.name.startswith(f"Bitcoin {metric} - "))
    return pl.read_csv(path, infer_schema_length=None)


def on(built: Built, day: date) -> dict[str, object]:
    return built.tables["capitulation_daily"].row(by_predicate=pl.col("day") == day, named=True)


@pytest.fixture(scope="module")
def cryptoquant(shared_data: Path, inputs_of: Callable[..., Inputs]) -> Built:
    return built_from(shared_data / "cryptoquant", inputs_of)


def test_cryptoquant_alone_gives_a_score_on_every_day_from_2012_on(cryptoquant: Built) -> None:
    days = cryptoquant.tables["capitulation_daily"].filter(pl.col("day").dt.year() >= 2012)
    assert days.height > 5_200
    assert days["capitulation_score"].null_count() == 0
    assert "capitulation" in str(on(cryptoquant, FIFTH)["capitulation_state"])
    assert failed(cryptoquant.checks) == []


def test_fees_and_revenue_of_cryptoquant_are_its_own_to_the_satoshi(cryptoquant: Built) -> None:
    """Fees and issuance of 2013-06-30 as its exports state them, and fees on the day before a halving."""
    row = on(cryptoquant, date(2013, 6, 30))
    assert row["issuance_btc"] == 3_825
    assert row["fees_btc"] == pytest.approx(29.0968413, abs=1e-8)
    assert row["miner_revenue_usd"] == pytest.approx(343_373.33, abs=0.01)
    assert on(cryptoquant, date(2024, 4, 19))["fees_btc"] == pytest.approx(116.94, abs=0.01)


def test_how_each_series_was_computed_is_stated(cryptoquant: Built) -> None:
    stated = {check.check_name: check.detail for check in cryptoquant.checks if check.severity == "notice"}
    for series in ("price_usd", "issuance_sat", "fees_sat"):
        assert "computed from figures of cryptoquant_export" in stated[f"{series}: is stated by a source"]


@pytest.fixture(scope="module")
def whole_folder(
    shared_data: Path, tmp_path_factory: pytest.TempPathFactory, inputs_of: Callable[..., Inputs]
) -> Built:
    """The folders of CryptoQuant with more of its exports, laid out from real rows: closes are another vendor's."""
    given, folder = shared_data / "cryptoquant", tmp_path_factory.mktemp("cryptoquant")
    (folder / "Network Stats").mkdir()
    for path in given.glob("*.csv"):
        (folder / "Network Stats" / path.name).symlink_to(path)
    prices = pl.read_csv(shared_data / "coinmetrics" / "btc.csv", infer_schema_length=None)
    close = prices.select(pl.col("time").str.slice(0, 10).alias("date"), pl.col("PriceUSD").fill_null(0).alias("Close"))
    candles = close.select("date", Open="Close", High="Close", Low="Close", Close="Close", Volume=pl.lit(1.0))
    written(folder, "Market Data/Bitcoin Price & Volume - Spot, All Exchanges, BTC-USD - Day.csv", candles)
    in_won = candles.with_columns(pl.col("Close") * 1_300)
    written(folder, "Market Data/Bitcoin Price & Volume KRW - Spot - Day.csv", in_won)
    flows = export_of(given, "Miner Inflow (Total)").join(export_of(given, "Miner Outflow (Total)"), on="date")
    netflow = pl.col("Miner Inflow (Total)") - pl.col("Miner Outflow (Total)")
    written(
        folder,
        "Miner Flows/Bitcoin Miner Netflow Total - All Miners - Day.csv",
        flows.select("date", netflow.alias("Miner Netflow Total")),
    )
    written(
        folder,
        "Miner Flows/Bitcoin Miner Reserve - All Miners - Day.csv",
        flows.select("date", (netflow.cum_sum() + 1_000_000).alias("Miner Reserve")),
    )
    return built_from(folder, inputs_of)


def test_closes_of_cryptoquant_win_over_what_follows_from_its_rewards(whole_folder: Built) -> None:
    assert on(whole_folder, FIFTH)["price_usd"] == pytest.approx(63_494.688446, abs=1e-6)
    assert not [check for check in whole_folder.checks if check.check_name.startswith("price_usd: is stated")]
    (revenue,) = (check for check in whole_folder.checks if check.check_name.startswith("Miner revenue agrees"))
    assert revenue.passed
    assert 0.1 < float(revenue.value or 0) < 1  # percent: blocks at their own price against the close


def test_netflow_and_reserve_of_miners_are_published_and_hold_together(whole_folder: Built) -> None:
    days = whole_folder.tables["capitulation_daily"].select("day", "miner_netflow_btc", "miner_reserve_btc")
    january = days.filter(pl.col("day").is_between(date(2026, 1, 1), date(2026, 1, 31)))
    assert january["miner_netflow_btc"].sum() == pytest.approx(-1_473, abs=1)
    change = january["miner_reserve_btc"][-1] - january["miner_reserve_btc"][0] + january["miner_netflow_btc"][0]
    assert change == pytest.approx(january["miner_netflow_btc"].sum(), abs=1e-6)
    checked = {check.check_name: check.passed for check in whole_folder.checks}
    assert checked["miners: netflow is inflow less outflow"]
    assert checked["miners: reserve changes by inflow less outflow"]
    assert failed(whole_folder.checks) == []


def test_price_of_cryptoquants_rewards_is_the_market_price(cryptoquant: Built, shared_data: Path) -> None:
    """A mean over the blocks of the day against a price at its end."""
    export = pl.read_csv(shared_data / "coinmetrics" / "btc.csv", infer_schema_length=None)
    theirs = export.select(pl.col("time").str.slice(0, 10).str.to_date().alias("day"), "PriceUSD")
    days = cryptoquant.tables["capitulation_daily"].filter(pl.col("day").dt.year() >= 2013)
    apart = days.join(theirs, on="day").select((pl.col("price_usd") / pl.col("PriceUSD") - 1).abs())["price_usd"]
    assert apart.len() > 4_800
    assert apart.median() < 0.01
    assert apart.quantile(0.95) < 0.05


def coinmetrics_rows(shared_data: Path) -> pl.DataFrame:
    return pl.read_csv(shared_data / "coinmetrics" / "btc.csv", infer_schema_length=None)


@pytest.fixture(scope="module")
def narrow(shared_data: Path, tmp_path_factory: pytest.TempPathFactory, inputs_of: Callable[..., Inputs]) -> Built:
    """Coin Metrics' file with three of its columns, none of them a price or a count of blocks."""
    folder = tmp_path_factory.mktemp("narrow")
    written(folder, "btc.csv", coinmetrics_rows(shared_data).select("time", "IssTotUSD", "HashRate", "FeeTotNtv"))
    return built_from(folder, inputs_of)


def test_narrow_file_gives_puell_fees_and_the_side_of_hash_rate(narrow: Built) -> None:
    assert on(narrow, date(2026, 2, 3))["puell_issuance_ratio"] == pytest.approx(0.6864, abs=0.0005)
    fifth = on(narrow, FIFTH)
    assert fifth["hash_ribbon_spread_pct"] == pytest.approx(-5.08, abs=0.01)
    assert fifth["fees_btc"] == pytest.approx(5.6, abs=1)
    assert fifth["hashrate_ehs"] is not None
    assert failed(narrow.checks) == []


def test_narrow_file_gives_no_score_and_the_reason_is_the_price(narrow: Built) -> None:
    days = narrow.tables["capitulation_daily"]
    assert days["price_usd"].null_count() == days["capitulation_score"].null_count() == days.height
    reasons = narrow.nulls.filter(pl.col("column_name").is_in(["price_usd", "miner_revenue_usd"]))
    assert "no observation of price_usd" in reasons["reason"].to_list()


@pytest.fixture(scope="module")
def layout_of_2019(
    shared_data: Path, tmp_path_factory: pytest.TempPathFactory, inputs_of: Callable[..., Inputs]
) -> Built:
    """Coin Metrics' file as it was in 2019: the day is called `date`, difficulty is stated, hash rate is not."""
    folder = tmp_path_factory.mktemp("old")
    difficulty = export_of(shared_data / "cryptoquant", "Difficulty").rename({"Difficulty": "DiffMean"})
    rows = coinmetrics_rows(shared_data).rename({"time": "date"}).filter(pl.col("date") < "2020")
    columns = ["date", "BlkCnt", "DiffMean", "FeeTotNtv", "IssTotNtv", "IssTotUSD", "PriceUSD", "SplyCur"]
    written(folder, "btc.csv", rows.join(difficulty, on="date", how="left").select(columns))
    return built_from(folder, inputs_of)


def test_layout_of_2019_gives_a_score(layout_of_2019: Built) -> None:
    low = on(layout_of_2019, date(2018, 12, 15))
    assert low["difficulty"] == pytest.approx(5_646_403_851_534.72)
    assert low["capitulation_score"] is not None
    assert "capitulation" in str(low["capitulation_state"])
    assert failed(layout_of_2019.checks) == []


def test_todays_file_of_coin_metrics_alone_gives_a_score(
    shared_data: Path, tmp_path: Path, inputs_of: Callable[..., Inputs], layout_of_2019: Built
) -> None:
    """It states no difficulty, which is the inverse of its own hash rate."""
    (tmp_path / "btc.csv").symlink_to(shared_data / "coinmetrics" / "btc.csv")
    built = built_from(tmp_path, inputs_of)
    assert on(built, FIFTH)["capitulation_score"] is not None
    day = date(2018, 12, 15)
    assert on(built, day)["difficulty"] == pytest.approx(on(layout_of_2019, day)["difficulty"], rel=1e-9)
    assert failed(built.checks) == []


def test_difficulty_that_nobody_states_warns_where_consensus_does_not_allow_it(
    shared_data: Path, tmp_path: Path, inputs_of: Callable[..., Inputs]
) -> None:
    """A vendor's estimate of hash rate that no block confirms: the score rests on it, so that a warning says so."""
    odd = pl.when(pl.col("time").is_between(pl.lit("2025-03-01"), pl.lit("2025-03-20"))).then(1.5).otherwise(1.0)
    rows = coinmetrics_rows(shared_data).with_columns(pl.col("HashRate").cast(pl.Float64) * odd)
    written(tmp_path, "btc.csv", rows)
    built = built_from(tmp_path, inputs_of)
    (check,) = (check for check in built.checks if check.check_name == "difficulty is constant between retargets")
    assert (check.passed, check.severity) == (False, "warning")
    assert failed(built.checks) == []
