"""The source `files` on small invented exports: what it reads, skips and rejects, and the messages."""

import json
import os
import random
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from flows.sources.files.folder import LARGEST_FILE_BYTES, MOST_NOTICES_A_FOLDER_COUNT, Files
from flows.sources.protocol import Request
from schemas.errors import BadInputError, HashpivotError
from schemas.observations import Batch, Notice, ObservedTable
from schemas.quarantine import FailedRow, Rule

NOW = datetime(2024, 7, 1, 9, 30, tzinfo=UTC)
TODAY = NOW.date()


def request(since: date | None = None, through: date = TODAY) -> Request:
    return Request(since=since, through=through, now=NOW)


def observed(folder: Path, wanted: Request | None = None) -> tuple[list[Batch], list[Notice]]:
    found = list(Files(folder).observe(wanted or request()))
    return [each for each in found if isinstance(each, Batch)], [each for each in found if isinstance(each, Notice)]


def rows_of(folder: Path, wanted: Request | None = None) -> list[tuple[str, date, float]]:
    batches, _ = observed(folder, wanted)
    return [row for batch in batches for row in batch.rows.rows()]


def error_of(folder: Path) -> BadInputError:
    with pytest.raises(BadInputError) as caught:
        list(Files(folder).observe(request()))
    assert "\n" not in str(caught.value)
    return caught.value


def failed_of(folder: Path) -> FailedRow:
    """The topmost row that is set aside."""
    return next(failed for batch in observed(folder)[0] for failed in batch.failed)


def put(folder: Path, name: str, *lines: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(("\n".join(lines) + "\n").encode())
    return path


def put_blocks(folder: Path, name: str = "blocks.parquet", **columns: object) -> Path:
    start = datetime(2024, 6, 1, 0, 5, tzinfo=UTC)
    frame = pl.DataFrame(
        {
            "height": [900, 901, 902, 903],
            "pool_slug": ["deep", "north", "deep", ""],
            # The third block is stamped before its parent, as real ones are.
            "date": [start, start + timedelta(minutes=9), start + timedelta(minutes=7), start + timedelta(days=1)],
        }
        | columns
    )
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    frame.write_parquet(path)
    return path


COINMETRICS = (
    "time,AdrActCnt,BlkCnt,FeeTotNtv,FlowInExNtv,FlowOutExNtv,HashRate,IssTotNtv,PriceUSD,SplyCur,SplyExNtv",
    "2024-06-01,7,140,1.5,100.00000001,90,500000000,437.5,60000.5,19000000.12345678,2000000",
    "2024-06-02,8,150,0,200,80,510000000,468.75,61000,19000437.5,2000120",
)


class TestCoinMetrics:
    def test_every_known_column_becomes_its_series_in_the_unit_of_storage(self, tmp_path):
        put(tmp_path, "any name at all.txt", *COINMETRICS)
        (batch,), _ = observed(tmp_path)
        first = {series: value for series, day, value in batch.rows.rows() if day == date(2024, 6, 1)}
        assert first == {
            "price_usd": 60000.5,
            "block_count": 140,
            "issuance_sat": 43_750_000_000,
            "fees_sat": 150_000_000,
            "reported_hashrate_ehs": 500,
            "supply_sat": 1_900_000_012_345_678,
            "exchange_inflow_sat": 10_000_000_001,
            "exchange_outflow_sat": 9_000_000_000,
            "exchange_reserve_sat": 200_000_000_000_000,
        }

    def test_batch_states_its_origin(self, tmp_path):
        path = put(tmp_path, "deep/down/btc.csv", *COINMETRICS)
        (batch,), _ = observed(tmp_path)
        assert (batch.source, batch.table) == ("coinmetrics_export", ObservedTable.DAILY_VALUE)
        assert batch.origin == "deep/down/btc.csv"
        assert batch.sha256 == sha256(path.read_bytes()).hexdigest()
        assert batch.observed_at == NOW

    def test_last_day_without_blocks_is_dropped_whole_and_named(self, tmp_path):
        put(tmp_path, "btc.csv", "time,BlkCnt,PriceUSD", "2024-06-01,140,60000", "2024-06-02,,61000")
        batches, notices = observed(tmp_path)
        assert [row[1] for row in batches[0].rows.rows()] == [date(2024, 6, 1)] * 2
        assert any("2024-06-02 dropped (PriceUSD 61000)" in notice.message for notice in notices)

    def test_an_earlier_day_without_blocks_keeps_its_price(self, tmp_path):
        put(tmp_path, "btc.csv", "time,BlkCnt,PriceUSD", "2024-06-01,,60000", "2024-06-02,150,61000")
        assert ("price_usd", date(2024, 6, 1), 60000.0) in rows_of(tmp_path)
        assert ("block_count", date(2024, 6, 1)) not in [row[:2] for row in rows_of(tmp_path)]

    def test_price_of_zero_before_the_first_price_is_no_price(self, tmp_path):
        put(tmp_path, "btc.csv", "time,BlkCnt,PriceUSD", "2024-06-01,0,0", "2024-06-02,1,0", "2024-06-03,2,5")
        batches, notices = observed(tmp_path)
        stated = batches[0].rows.rows()
        assert [row for row in stated if row[0] == "price_usd"] == [("price_usd", date(2024, 6, 3), 5.0)]
        assert ("block_count", date(2024, 6, 1), 0.0) in stated
        assert any("2 leading zero(s) of PriceUSD, up to 2024-06-02: dropped" in each.message for each in notices)

    def test_price_of_zero_later_is_set_aside(self, tmp_path):
        put(tmp_path, "btc.csv", "time,BlkCnt,PriceUSD", "2024-06-01,1,5", "2024-06-02,1,0", "2024-06-03,2,5")
        assert failed_of(tmp_path).place == "row 3, column PriceUSD"
        assert ("price_usd", date(2024, 6, 2)) not in [row[:2] for row in rows_of(tmp_path)]

    def test_absent_columns_are_named(self, tmp_path):
        put(tmp_path, "btc.csv", "time,BlkCnt,PriceUSD", "2024-06-01,1,5")
        assert any("has no column IssTotNtv" in notice.message for notice in observed(tmp_path)[1])

    def test_time_stamps_at_midnight_are_days_and_others_are_not(self, tmp_path):
        put(tmp_path, "a.csv", "asset,time,PriceUSD", "btc,2024-06-01T00:00:00.000000000Z,5")
        assert rows_of(tmp_path) == [("price_usd", date(2024, 6, 1), 5.0)]
        put(tmp_path, "a.csv", "asset,time,PriceUSD", "btc,2024-06-01T01:00:00Z,5")
        assert error_of(tmp_path).place == "a.csv row 2, column time"

    def test_another_asset_is_rejected(self, tmp_path):
        put(tmp_path, "a.csv", "asset,time,PriceUSD", "btc,2024-06-01,5", "eth,2024-06-01,3")
        assert error_of(tmp_path).place == "a.csv row 3, column asset"

    def test_file_without_its_time_column_is_rejected_not_skipped(self, tmp_path):
        put(tmp_path, "a.csv", "day,PriceUSD,BlkCnt", "2024-06-01,5,1")
        assert "column time" in error_of(tmp_path).expected


CANDLES = "date,Open,High,Low,Close,Volume"


class TestCryptoQuant:
    @pytest.mark.parametrize(
        ("header", "cell", "series", "value"),
        [
            ("Miner Outflow (Total)", "1.00000001", "miner_outflow_sat", 100_000_001),
            ("Miner Outflow (Mean)", "2e-8", "miner_outflow_mean_sat", 2),
            ("Miner Outflow (Top10)", "5", "miner_outflow_top10_sat", 500_000_000),
            ("Miner Inflow (Total)", "5", "miner_inflow_sat", 500_000_000),
            ("Miner to Exchange Flow (Total)", "5", "miner_to_exchange_sat", 500_000_000),
            ("Miner to Exchange Flow (Mean)", "5", "miner_to_exchange_mean_sat", 500_000_000),
            ("Miner to Exchange Transactions", "5", "miner_to_exchange_count", 5),
            ("Exchange to Miner Flow (Total)", "5", "exchange_to_miner_sat", 500_000_000),
            ("Exchange Inflow (Total)", "5", "exchange_inflow_sat", 500_000_000),
            ("Exchange Inflow (Mean)", "5", "exchange_inflow_mean_sat", 500_000_000),
            ("Exchange Inflow (Top10)", "5", "exchange_inflow_top10_sat", 500_000_000),
            ("Exchange Outflow (Total)", "5", "exchange_outflow_sat", 500_000_000),
            ("Exchange Reserve", "5", "exchange_reserve_sat", 500_000_000),
            ("Difficulty", "83000000000000.5", "difficulty", 83_000_000_000_000.5),
            ("Hashrate", "600000000000", "reported_hashrate_ehs", 600),
            ("Blocks Mined", "140", "block_count", 140),
            ("Block Rewards", "450.25", "reward_sat", 45_025_000_000),
            ("Block Rewards USD", "27000000.5", "reward_usd", 27_000_000.5),
            ("Fees (Total)", "29.0968413", "fees_sat", 2_909_684_130),
            ("New Supply", "3825.0", "issuance_sat", 382_500_000_000),
            ("Total Supply", "11353989.80331183", "supply_sat", 1_135_398_980_331_183),
            ("Miner Reserve", "2360393.75309393", "miner_reserve_sat", 236_039_375_309_393),
            ("Miner Netflow Total", "-1352.0772465400005", "miner_netflow_sat", -135_207_724_654),
            ("Miners' Position Index (MPI)", "-0.3986306760260636", "reported_mpi_zscore", -0.3986306760260636),
            ("Puell Multiple", "0.69", "reported_puell_ratio", 0.69),
        ],
    )
    def test_metric_becomes_its_series_in_the_unit_of_storage(self, tmp_path, header, cell, series, value):
        put(tmp_path, "x.csv", f"date,{header}", f"2024-06-01,{cell}", f"2024-06-02,{cell}")
        batches, _ = observed(tmp_path)
        assert batches[0].source == "cryptoquant_export"
        assert batches[0].rows.row(0) == (series, date(2024, 6, 1), value)

    def test_last_row_of_a_flow_is_dropped_and_quoted(self, tmp_path):
        put(tmp_path, "x.csv", "date,Exchange Inflow (Total)", "2024-06-01,5", "2024-06-02,6")
        batches, notices = observed(tmp_path)
        assert batches[0].rows["day"].to_list() == [date(2024, 6, 1)]
        assert "day 2024-06-02 dropped (Exchange Inflow (Total) 6)" in notices[0].message

    def test_last_row_of_a_chain_metric_is_kept(self, tmp_path):
        put(tmp_path, "x.csv", "date,Blocks Mined", "2024-06-01,5", "2024-06-02,6")
        assert len(rows_of(tmp_path)) == 2

    def test_today_is_dropped_from_every_metric(self, tmp_path):
        put(tmp_path, "x.csv", "date,Blocks Mined", "2024-06-30,5", f"{TODAY},6")
        batches, notices = observed(tmp_path)
        assert batches[0].rows["day"].to_list() == [date(2024, 6, 30)]
        assert "the day is not over" in notices[0].message

    def test_extra_columns_are_ignored(self, tmp_path):
        put(tmp_path, "x.csv", "date,Exchange Reserve,Exchange Reserve-EMA(100)", "2024-06-01,5,oops", "2024-06-02,6,")
        assert rows_of(tmp_path) == [("exchange_reserve_sat", date(2024, 6, 1), 500_000_000)]

    def test_rewards_of_zero_before_there_was_a_price_are_dropped(self, tmp_path):
        put(tmp_path, "x.csv", "date,Block Rewards USD", "2024-06-01,0.0", "2024-06-02,7", "2024-06-03,0")
        assert [row[1:] for row in rows_of(tmp_path)] == [(date(2024, 6, 2), 7.0), (date(2024, 6, 3), 0.0)]

    def test_miner_flow_of_zero_is_a_value(self, tmp_path):
        put(tmp_path, "x.csv", "date,Miner Outflow (Total)", "2024-06-01,0.0", "2024-06-02,7", "2024-06-03,0")
        assert rows_of(tmp_path)[0] == ("miner_outflow_sat", date(2024, 6, 1), 0.0)

    @pytest.mark.parametrize("name", ["Bitcoin Miner Inflow (Total) - Deep Pool - Day.csv", "Ether Blocks - Day.csv"])
    def test_name_that_means_less_than_all_of_bitcoin_is_skipped(self, tmp_path, name):
        put(tmp_path, "all.csv", "date,Miner Inflow (Total)", "2024-06-01,5", "2024-06-02,5")
        put(tmp_path, name, "date,Miner Inflow (Total)", "2024-06-01,1", "2024-06-02,1", "2024-06-03,1")
        batches, notices = observed(tmp_path)
        assert [batch.origin for batch in batches] == ["all.csv"]
        assert any(notice.origin == name and "skipped" in notice.message for notice in notices)

    def test_name_that_means_all_of_bitcoin_is_read(self, tmp_path):
        name = "Bitcoin Miner to Exchange Flow (Total) - All Miners, All Exchanges - Day (1).csv"
        put(tmp_path, name, "date,Miner to Exchange Flow (Total)", "2024-06-01,5", "2024-06-02,5")
        assert len(rows_of(tmp_path)) == 1

    def test_price_is_the_close_without_the_day_of_the_download(self, tmp_path):
        name = "Bitcoin Price & Volume - Spot, All Exchanges, BTC-USD - Day.csv"
        zeros = "2024-05-31,0,0,0,0,0"
        put(tmp_path, name, CANDLES, zeros, "2024-06-01,88.53,90.25,88.26,89.55,525.5", "2024-06-02,1,1,1,1,1")
        assert rows_of(tmp_path) == [("price_usd", date(2024, 6, 1), 89.55)]

    @pytest.mark.parametrize(
        ("name", "why"),
        [
            ("Bitcoin Price & Volume KRW - Spot - Day.csv", "not a price in USD"),
            ("Bitcoin Price & Volume - Spot, All Exchanges, BTC-KRW - Day.csv", "not a price in USD"),
            ("ohlcv.csv", "not a price in USD"),
            ("Bitcoin Price & Volume - Spot, North Exchange, BTC-USD - Day.csv", "not about all of Bitcoin"),
            ("Ether Price & Volume - Spot, All Exchanges, BTC-USD - Day.csv", "not about all of Bitcoin"),
        ],
    )
    def test_price_of_another_currency_venue_or_asset_is_skipped(self, tmp_path, name, why):
        put(tmp_path, "a.csv", "date,Blocks Mined", "2024-06-01,5")
        put(tmp_path, name, CANDLES, "2024-06-01,88.53,90.25,88.26,89.55,525.5", "2024-06-02,1,1,1,1,1")
        batches, (notice,) = observed(tmp_path)
        assert [batch.origin for batch in batches] == ["a.csv"]
        assert notice.origin == name
        assert why in notice.message

    def test_unknown_metric_is_skipped(self, tmp_path):
        put(tmp_path, "a.csv", "date,Blocks Mined", "2024-06-01,5")
        put(tmp_path, "b.csv", "date,Moon Phase", "2024-06-01,5")
        put(tmp_path, "c.csv", "model,Hashrate", "X1,5")
        assert [notice.origin for notice in observed(tmp_path)[1]] == ["b.csv", "c.csv"]


RENAMED = [
    # header, row, what is named, what was expected
    ("time,PriceUSD,blkcnt,IssTotNtv", "2024-06-01,5,144,450", "blkcnt", "column BlkCnt"),
    ("time,priceusd,blkcnt,isstotntv", "2024-06-01,5,144,450", "priceusd", "column PriceUSD"),
    ("Time,PriceUSD,BlkCnt,IssTotNtv", "2024-06-01,5,144,450", "Time", "column time"),
    ("Date,PriceUSD,BlkCnt,DiffMean", "2024-06-01,5,144,450", "Date", "column date"),
    ("date,miner outflow (total)", "2024-06-01,5", "miner outflow (total)", "column Miner Outflow (Total)"),
    (
        "date,Miner to exchange flow (Total)",
        "2024-06-01,5",
        "Miner to exchange",
        "column Miner to Exchange Flow (Total)",
    ),
]


class TestCoinMetricsLayouts:
    def test_layout_of_2019_calls_the_day_date_and_states_the_difficulty(self, tmp_path):
        put(tmp_path, "btc.csv", "date,BlkCnt,DiffMean,PriceUSD", "2019-06-01,,,", "2019-06-02,144,7.4e12,8500")
        assert ("difficulty", date(2019, 6, 2), 7.4e12) in rows_of(tmp_path)

    def test_narrow_file_is_read_and_what_it_lacks_is_named(self, tmp_path):
        put(tmp_path, "btc.csv", "time,IssTotUSD,HashRate,FeeTotNtv", "2024-06-01,27000000.5,600000000,1.5")
        (batch,), (notice,) = observed(tmp_path)
        assert batch.rows["series"].to_list() == ["fees_sat", "reported_hashrate_ehs", "reported_issuance_usd"]
        assert notice.message == (
            "has no column PriceUSD, BlkCnt, IssTotNtv, SplyCur, FlowInExNtv, FlowOutExNtv, SplyExNtv"
        )


class TestRenamedColumn:
    """A column in another case would be missing: its series would end with the file before, without a word."""

    @pytest.mark.parametrize(("header", "row", "named", "expected"), RENAMED)
    def test_another_case_is_rejected_by_name(self, tmp_path, header, row, named, expected):
        put(tmp_path, "sound.csv", "date,Blocks Mined", "2024-06-01,5")
        put(tmp_path, "x.csv", header, row, row.replace("06-01", "06-02"))
        error = error_of(tmp_path)
        assert error.place == "x.csv row 1"
        assert named in str(error)
        assert error.expected == expected

    def test_another_case_of_a_parquet_column_is_rejected_by_name(self, tmp_path):
        path = put_blocks(tmp_path)
        pl.read_parquet(path).rename({"pool_slug": "Pool_Slug"}).write_parquet(path)
        assert error_of(tmp_path).expected == "a column pool_slug"

    def test_common_word_of_another_file_is_skipped(self, tmp_path):
        put(tmp_path, "a.csv", "date,Blocks Mined", "2024-06-01,5")
        put(tmp_path, "b.csv", "date,difficulty", "2024-06-01,5")
        assert [notice.origin for notice in observed(tmp_path)[1]] == ["b.csv"]


class TestCsv:
    @pytest.mark.parametrize(
        ("cell", "expected"),
        [
            ("abc", "whole number"),
            ("1 000", "whole number"),
            ("0x10", "whole number"),
            ("NaN", "whole number"),
            ("inf", "whole number"),
            ("1e999", "whole number"),
            ("1.5", "whole number"),
            ("-1", "at least 0"),
            ("1001", "at most 1000"),
        ],
    )
    def test_bad_cell_is_named_with_row_column_value_and_expectation(self, tmp_path, cell, expected):
        put(tmp_path, "sub/x.csv", "date,Blocks Mined", "2024-06-01,5", f"2024-06-02,{cell}", "2024-06-03,zzz")
        error = error_of(tmp_path)
        assert error.place == "sub/x.csv row 3, column Blocks Mined"
        assert error.value == cell
        assert expected in error.expected
        assert error.remedy.startswith("2 of 3 rows fail, more than are set aside; ")

    @pytest.mark.parametrize(
        ("cell", "rule", "expected"),
        [
            ("abc", Rule.UNREADABLE, "a whole number"),
            ("1e999", Rule.UNREADABLE, "a whole number"),
            ("1.5", Rule.UNREADABLE, "a whole number"),
            ("-1", Rule.VALUE, "at least 0 and at most 1000"),
            ("1001", Rule.VALUE, "at least 0 and at most 1000"),
        ],
    )
    def test_a_bad_cell_among_others_is_set_aside_as_it_was_received(self, tmp_path, cell, rule, expected):
        put(tmp_path, "x.csv", "date,Blocks Mined", "2024-06-01,5", f"2024-06-02,{cell}", "2024-06-03,6")
        (batch,), _ = observed(tmp_path)
        assert [row[2] for row in batch.rows.rows()] == [5.0, 6.0]
        (failed,) = batch.failed
        assert (failed.key, failed.rule) == ({"series": "block_count", "day": date(2024, 6, 2)}, rule)
        assert failed.received == {"date": "2024-06-02", "Blocks Mined": cell}
        assert failed.reason == f"found {cell!r}, expected {expected}"
        assert (failed.row is None) == (rule is Rule.UNREADABLE)

    def test_share_of_bad_rows_from_which_on_a_file_is_broken(self, tmp_path):
        days = [date(2020, 1, 1) + timedelta(days=n) for n in range(1_100)]

        def put_bad(count):
            lines = (f"{day},{-1 if n < count else 5}" for n, day in enumerate(days))
            put(tmp_path, "x.csv", "date,Blocks Mined", *lines)

        put_bad(11)
        (batch,), _ = observed(tmp_path)
        assert (len(batch.failed), batch.rows.height) == (11, 1_089)
        put_bad(12)
        error = error_of(tmp_path)
        assert error.place == "x.csv row 2, column Blocks Mined"
        assert error.remedy.startswith("12 of 1,100 rows fail, more than are set aside; ")

    def test_bound_is_reported_in_the_unit_of_the_cell(self, tmp_path):
        put(tmp_path, "x.csv", "date,Exchange Reserve", "2024-06-01,21000000.5", "2024-06-02,1", "2024-06-03,1")
        assert "at most 21000000 BTC" in failed_of(tmp_path).reason

    @pytest.mark.parametrize(
        "day", ["", "01.06.2024", "2024-6-1", "2024-02-30", "1970-01-01", "2024-07-02", "2024-06-01 12:00"]
    )
    def test_bad_day_is_set_aside(self, tmp_path, day):
        put(tmp_path, "x.csv", "date,Blocks Mined", "2024-06-01,5", f"{day},7")
        failed = failed_of(tmp_path)
        assert (failed.place, failed.rule, failed.row) == ("row 3, column date", Rule.DAY, None)
        assert failed.key == {"series": "block_count", "day": day or None}
        assert rows_of(tmp_path) == [("block_count", date(2024, 6, 1), 5.0)]

    def test_bad_day_without_any_value_is_rejected(self, tmp_path):
        put(tmp_path, "x.csv", "date,Blocks Mined", "2024-06-01,5", "1970-01-01,")
        assert error_of(tmp_path).place == "x.csv row 3, column date"

    @pytest.mark.parametrize("line", ["2024-06-02", "2024-06-02,1,234", '2024-06-02,"1,234"', "2024-06-"])
    def test_ragged_row_is_rejected(self, tmp_path, line):
        put(tmp_path, "x.csv", "date,Blocks Mined", "2024-06-01,5", line, "2024-06-03,5")
        error = error_of(tmp_path)
        assert (error.place, error.value) == ("x.csv row 3", line)
        assert "thousands" in error.remedy

    @pytest.mark.parametrize("damage", [b"\0", b"\xff", b"\xc3"])
    def test_bytes_that_are_not_text_are_rejected(self, tmp_path, damage):
        (tmp_path / "x.csv").write_bytes(b"\xef\xbb\xbfdate,Blocks Mined\n2024-06-01,5\n2024-06-02,5" + damage + b"\n")
        assert error_of(tmp_path).place == "x.csv row 3"

    @pytest.mark.parametrize(
        "content",
        [
            b"\xef\xbb\xbfdate,Blocks Mined\n2024-06-01,5\n",
            b"date,Blocks Mined\r\n2024-06-01,5\r\n",
            b"date,Blocks Mined\r2024-06-01,5\r",
            b'"date","Blocks Mined"\n"2024-06-01","5"\n',
            b"date, Blocks Mined \n\n 2024-06-01 , 5 \n\n\n",
        ],
        ids=["byte order mark", "carriage returns", "old line ends", "quotes", "blanks"],
    )
    def test_harmless_dialects_are_read(self, tmp_path, content):
        (tmp_path / "x.csv").write_bytes(content)
        assert rows_of(tmp_path) == [("block_count", date(2024, 6, 1), 5.0)]

    def test_rows_are_counted_as_an_editor_counts_lines(self, tmp_path):
        (tmp_path / "x.csv").write_bytes(b"date,Blocks Mined\r\n\r\n2024-06-01,5\r\n\r\n2024-06-02,x\r\n")
        assert failed_of(tmp_path).place == "row 5, column Blocks Mined"

    def test_line_cut_short_is_dropped_since_its_value_may_be_a_beginning(self, tmp_path):
        (tmp_path / "x.csv").write_bytes(b"date,Blocks Mined\n2024-06-01,140\n2024-06-02,14")
        batches, notices = observed(tmp_path)
        assert batches[0].rows["day"].to_list() == [date(2024, 6, 1)]
        assert "ends inside this line" in notices[0].message

    def test_header_without_rows_is_rejected(self, tmp_path):
        (tmp_path / "x.csv").write_bytes(b"date,Blocks Mined\n")
        assert "without rows" in str(error_of(tmp_path))

    def test_repeated_column_is_rejected(self, tmp_path):
        put(tmp_path, "x.csv", "date,Blocks Mined,Blocks Mined", "2024-06-01,5,6")
        assert error_of(tmp_path).place == "x.csv row 1"

    def test_repeated_rows_are_dropped_and_counted(self, tmp_path):
        put(tmp_path, "x.csv", "date,Blocks Mined", "2024-06-01,5", "2024-06-02,6", "2024-06-01,5.0", "2024-06-01,5")
        batches, notices = observed(tmp_path)
        assert batches[0].rows.height == 2
        assert notices[0].message.startswith("2 row(s) repeated")

    def test_two_values_for_one_day_are_set_aside_both(self, tmp_path):
        lines = ("2024-06-01,5", "2024-06-02,6", "2024-06-01,7", "2024-06-03,6")
        put(tmp_path, "x.csv", "date,Blocks Mined", *lines)
        (batch,), _ = observed(tmp_path)
        assert [row[1].day for row in batch.rows.rows()] == [2, 3]
        assert [(each.place, each.rule, each.reason) for each in batch.failed] == [
            ("row 2, column Blocks Mined", Rule.REPEATED, "found '5', expected 7 for 2024-06-01, as in row 4"),
            ("row 4, column Blocks Mined", Rule.REPEATED, "found '7', expected 5 for 2024-06-01, as in row 2"),
        ]

    @given(seed=st.integers(0, 2**32))
    @settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_order_of_rows_does_not_matter(self, tmp_path, seed):
        header, *days = [*COINMETRICS, "2024-06-03,,,,,,,,62000,,"]
        put(tmp_path, "btc.csv", header, *days)
        ((straight,), notices) = observed(tmp_path)
        random.Random(seed).shuffle(days)
        put(tmp_path, "btc.csv", header, *days)
        ((shuffled,), shuffled_notices) = observed(tmp_path)
        assert_frame_equal(straight.rows, shuffled.rows)
        assert notices == shuffled_notices


class TestPoolBlocks:
    def test_blocks_keep_header_times_and_have_no_invented_facts(self, tmp_path):
        put_blocks(tmp_path)
        (batch,), _ = observed(tmp_path)
        assert (batch.source, batch.table) == ("pool_blocks_export", ObservedTable.BLOCK)
        assert batch.rows["pool"].to_list() == ["deep", "north", "deep", "unknown"]
        assert batch.rows["block_at"].is_sorted() is False
        for column in ("difficulty", "subsidy_claimed_sat", "fees_sat"):
            assert batch.rows[column].null_count() == batch.rows.height

    def test_null_slug_is_unknown(self, tmp_path):
        put_blocks(tmp_path, pool_slug=[None, None, " ", ""])
        assert observed(tmp_path)[0][0].rows["pool"].unique().to_list() == ["unknown"]

    def test_names_beside_the_file_are_used(self, tmp_path):
        put_blocks(tmp_path, "sub/blocks.parquet")
        (tmp_path / "sub/names.json").write_text(json.dumps({"deep": "Deep Pool", "north": "North", "other": "Other"}))
        (tmp_path / "sub/more.json").write_text(json.dumps({"moon": "full"}))
        batches, notices = observed(tmp_path)
        assert batches[0].rows["pool"].to_list() == ["Deep Pool", "North", "Deep Pool", "unknown"]
        assert [notice.origin for notice in notices] == ["sub/more.json"]

    def test_names_elsewhere_are_not(self, tmp_path):
        put_blocks(tmp_path, "sub/blocks.parquet")
        (tmp_path / "names.json").write_text(json.dumps({"deep": "Deep Pool", "north": "North"}))
        batches, notices = observed(tmp_path)
        assert batches[0].rows["pool"][0] == "deep"
        assert [notice.origin for notice in notices] == ["names.json", "sub/blocks.parquet"]
        assert "pools are called by their slugs" in notices[1].message

    def test_slug_without_a_name_stays_and_is_reported(self, tmp_path):
        put_blocks(tmp_path, pool_slug=["deep", "north", "west", ""])
        (tmp_path / "names.json").write_text(json.dumps({"deep": "Deep Pool", "north": "North"}))
        batches, notices = observed(tmp_path)
        assert batches[0].rows["pool"].to_list() == ["Deep Pool", "North", "west", "unknown"]
        assert "west" in notices[0].message

    @pytest.mark.parametrize(
        "content", ["[1]", "{", '{"deep": 1, "north": 2}', "[" * 100_000, '{"deep":"\\ud800","north":""}']
    )
    def test_other_json_is_skipped(self, tmp_path, content):
        put_blocks(tmp_path)
        (tmp_path / "x.json").write_text(content)
        batches, notices = observed(tmp_path)
        assert batches[0].rows["pool"][0] == "deep"
        assert [notice.origin for notice in notices] == ["x.json", "blocks.parquet"]

    def test_gaps_in_heights_are_accepted_and_order_does_not_matter(self, tmp_path):
        at = datetime(2024, 6, 1, 0, 5, tzinfo=UTC)
        hours = [timedelta(hours=n) for n in (9, 0, 3, 1)]
        put_blocks(tmp_path, height=[905, 3, 901, 80], date=[at + each for each in hours])
        assert observed(tmp_path)[0][0].rows["height"].to_list() == [3, 80, 901, 905]

    def test_repeated_rows_are_dropped_and_counted(self, tmp_path):
        path = put_blocks(tmp_path)
        frame = pl.read_parquet(path)
        pl.concat([frame, frame.head(2)]).write_parquet(path)
        batches, notices = observed(tmp_path)
        assert batches[0].rows.height == 4
        assert notices[0].message.startswith("2 row(s) repeated")

    def test_two_rows_that_contradict_about_a_height_are_rejected(self, tmp_path):
        put_blocks(tmp_path, height=[900, 901, 902, 900])
        assert error_of(tmp_path).place == "blocks.parquet row 4, column height"

    def test_two_slugs_for_a_height_are_rejected(self, tmp_path):
        at = datetime(2024, 6, 1, tzinfo=UTC)
        put_blocks(tmp_path, height=[1, 2, 2, 3], pool_slug=["a", None, "b", "c"], date=[at] * 4)
        assert error_of(tmp_path).place == "blocks.parquet row 3, column height"

    @pytest.mark.parametrize(
        ("columns", "place"),
        [
            ({"height": [1, None, 2, 3]}, "row 2, column height"),
            ({"height": [1, 2, 3, -4]}, "row 4, column height"),
            ({"height": [1, 2, 3, 1_717_200_000]}, "row 4, column height"),
            ({"height": [1.0, 2.0, 3.0, 4.0]}, "column height"),
            ({"pool_slug": [1, 2, 3, 4]}, "column pool_slug"),
            ({"date": [datetime(2024, 6, 1)] * 4}, "column date"),  # noqa: DTZ001
            ({"date": [date(2024, 6, 1)] * 4}, "column date"),
            ({"date": [datetime(1970, 1, 1, tzinfo=UTC)] * 4}, "row 1, column date"),
            ({"date": [NOW, NOW, NOW + timedelta(hours=3), NOW]}, "row 3, column date"),
            ({"date": [NOW, None, NOW, NOW]}, "row 2, column date"),
            ({"date": [NOW, NOW, NOW - timedelta(hours=6, seconds=1), NOW]}, "row 3, column date"),
        ],
    )
    def test_impossible_block_is_rejected(self, tmp_path, columns, place):
        put_blocks(tmp_path, **columns)
        assert error_of(tmp_path).place == f"blocks.parquet {place}"

    @pytest.mark.parametrize(
        "slug", ["\x1b[2Jdeep", "de\x00ep", "=cmd|' /C calc'!A0", "<script>", "a|b", "\u202epeed", "[a](b:c)", "x" * 65]
    )
    def test_name_that_is_none_is_rejected_and_shown_without_its_effect(self, tmp_path, slug):
        put_blocks(tmp_path, pool_slug=["deep", slug, "west", ""])
        error = error_of(tmp_path)
        assert error.place == "blocks.parquet row 2, column pool_slug"
        assert str(error).isprintable()

    @pytest.mark.parametrize("heights", [[1, 2, 3, 4], [1, 1, 2, 3]])
    def test_times_beyond_the_calendar_are_rejected(self, tmp_path, heights):
        far = pl.Series([0, 2**62, -(2**62), 0]).cast(pl.Datetime("us", "UTC"))
        put_blocks(tmp_path, height=heights, date=far)
        assert error_of(tmp_path).place == "blocks.parquet row 1, column date"
        put_blocks(tmp_path, height=heights, date=far.reverse().shift(-1, fill_value=NOW))
        assert error_of(tmp_path).place == "blocks.parquet row 1, column date"

    def test_header_time_a_little_ahead_of_the_clock_is_legal(self, tmp_path):
        late = datetime(2024, 7, 1, 10, 30, tzinfo=UTC)
        put_blocks(tmp_path, date=[late] * 4)
        assert observed(tmp_path)[0][0].rows.height == 4

    def test_renamed_column_is_rejected_not_skipped(self, tmp_path):
        path = put_blocks(tmp_path)
        pl.read_parquet(path).rename({"date": "mined"}).write_parquet(path)
        assert "a column date" in error_of(tmp_path).expected

    def test_other_parquet_is_skipped(self, tmp_path):
        put_blocks(tmp_path)
        pl.DataFrame({"address": ["x"]}).write_parquet(tmp_path / "labels.parquet")
        assert [notice.origin for notice in observed(tmp_path)[1]] == ["labels.parquet", "blocks.parquet"]

    def test_damage_that_would_end_the_process_is_rejected(self, tmp_path):
        path = put_blocks(tmp_path)
        four_values, minus_29_values = b",\x15\x08\x15\x10", b",\x15\x39\x15\x10"
        whole = path.read_bytes()
        assert four_values in whole, "the writer of Parquet changed, find its page header again"
        path.write_bytes(whole.replace(four_values, minus_29_values))
        assert "ended the process" in str(error_of(tmp_path))

    def test_empty_file_of_blocks_is_rejected(self, tmp_path):
        path = put_blocks(tmp_path)
        pl.read_parquet(path).clear().write_parquet(path)
        assert "no rows" in str(error_of(tmp_path))

    @pytest.mark.parametrize("part", [slice(0, 60), slice(4, None), slice(0, 4), slice(0, -4)])
    def test_part_of_a_parquet_file_is_rejected(self, tmp_path, part):
        path = put_blocks(tmp_path)
        path.write_bytes(path.read_bytes()[part])
        assert "Parquet" in error_of(tmp_path).expected


class TestOverlap:
    def test_balances_of_opposite_signs_are_compared_by_their_size(self, tmp_path):
        days = [f"2024-05-{day:02},-{day}" for day in range(1, 32)]
        put(tmp_path, "a.csv", "date,Miner Netflow Total", *days)
        put(tmp_path, "b.csv", "date,Miner Netflow Total", *(day.replace(",-", ",") for day in days), "2024-06-01,1")
        assert "unlike that in b.csv" in str(error_of(tmp_path))

    def test_newer_file_wins_day_by_day_with_a_notice(self, tmp_path):
        put(tmp_path, "z old.csv", "date,Blocks Mined", "2024-06-01,1", "2024-06-02,2", "2024-06-03,3")
        put(tmp_path, "a new.csv", "date,Blocks Mined", "2024-06-02,2", "2024-06-03,4", "2024-06-04,5")
        batches, notices = observed(tmp_path)
        assert [(batch.origin, batch.rows["value"].to_list()) for batch in batches] == [
            ("z old.csv", [1.0]),
            ("a new.csv", [2.0, 4.0, 5.0]),
        ]
        assert notices[0].origin == "z old.csv"
        assert "2 of its rows are also in a new.csv" in notices[0].message
        assert notices[0].message.endswith("1 differ")

    def test_partial_last_day_of_the_older_flow_does_not_hide_the_newer(self, tmp_path):
        put(tmp_path, "1.csv", "date,Miner Inflow (Total)", "2024-06-01,1", "2024-06-02,0.1")
        put(tmp_path, "2.csv", "date,Miner Inflow (Total)", "2024-06-01,1", "2024-06-02,2", "2024-06-03,0.1")
        assert [row[2] for row in rows_of(tmp_path)] == [100_000_000, 200_000_000]

    def test_of_two_that_end_on_one_day_the_later_name_wins(self, tmp_path):
        put(tmp_path, "1.csv", "date,Blocks Mined", "2024-06-01,1")
        put(tmp_path, "2.csv", "date,Blocks Mined", "2024-06-01,2")
        assert rows_of(tmp_path) == [("block_count", date(2024, 6, 1), 2.0)]

    def test_two_vendors_do_not_touch_each_other(self, tmp_path):
        put(tmp_path, "1.csv", "date,Blocks Mined", "2024-06-01,1")
        put(tmp_path, "2.csv", "time,BlkCnt", "2024-06-01,2")
        assert sorted(row[2] for row in rows_of(tmp_path)) == [1.0, 2.0]

    def test_a_failed_row_of_a_newer_file_wins_over_the_sound_one_of_an_older(self, tmp_path):
        put(tmp_path, "old.csv", "date,Blocks Mined", "2024-06-01,5", "2024-06-02,6")
        put(tmp_path, "new.csv", "date,Blocks Mined", "2024-06-01,-5", "2024-06-02,6", "2024-06-03,7")
        assert [row[1].day for row in sorted(rows_of(tmp_path))] == [2, 3]

    def test_files_that_cannot_be_about_the_same_thing_are_rejected(self, tmp_path):
        days = [date(2024, 1, 1) + timedelta(days=n) for n in range(40)]
        put(tmp_path, "bch.csv", "time,PriceUSD", *(f"{day},300" for day in days))
        put(tmp_path, "btc.csv", "time,PriceUSD", *(f"{day},60000" for day in days))
        error = error_of(tmp_path)
        assert error.place == "bch.csv"
        assert "price_usd unlike that in btc.csv" in str(error)

    def test_blocks_of_a_newer_file_win(self, tmp_path):
        put_blocks(tmp_path, "old.parquet")
        later = datetime(2024, 6, 5, tzinfo=UTC)
        put_blocks(tmp_path, "new.parquet", height=[902, 903, 904, 905], pool_slug=["west"] * 4, date=[later] * 4)
        batches, notices = observed(tmp_path)
        assert [(batch.origin, batch.rows["height"].to_list()) for batch in batches] == [
            ("old.parquet", [900, 901]),
            ("new.parquet", [902, 903, 904, 905]),
        ]
        assert any("2 of its rows are also in new.parquet" in notice.message for notice in notices)


class TestFolder:
    def test_only_the_requested_range_is_yielded(self, tmp_path):
        put(tmp_path, "x.csv", "date,Blocks Mined", *(f"2024-06-0{n},{n}" for n in range(1, 8)))
        put_blocks(tmp_path)
        batches, _ = observed(tmp_path, request(since=date(2024, 6, 2), through=date(2024, 6, 3)))
        daily = next(batch for batch in batches if batch.table is ObservedTable.DAILY_VALUE)
        blocks = next(batch for batch in batches if batch.table is ObservedTable.BLOCK)
        assert daily.rows["value"].to_list() == [2.0, 3.0]
        assert blocks.rows["height"].to_list() == [903]

    def test_file_with_nothing_in_the_range_has_no_batch(self, tmp_path):
        put(tmp_path, "x.csv", "date,Blocks Mined", "2024-06-01,5")
        assert observed(tmp_path, request(since=date(2024, 6, 2)))[0] == []

    def test_two_looks_at_one_folder_are_alike(self, tmp_path):
        put(tmp_path, "b/x.csv", "date,Blocks Mined", "2024-06-01,5")
        put(tmp_path, "a/y.csv", *COINMETRICS)
        put_blocks(tmp_path)
        first, second = observed(tmp_path), observed(tmp_path)
        assert first[1] == second[1]
        assert [batch.origin for batch in first[0]] == [batch.origin for batch in second[0]]
        for one, other in zip(first[0], second[0], strict=True):
            assert_frame_equal(one.rows, other.rows)

    def test_unknown_files_have_one_notice_each_and_many_share_one(self, tmp_path):
        put(tmp_path, "x.csv", "date,Blocks Mined", "2024-06-01,5")
        put(tmp_path, "notes.md", "hello")
        (tmp_path / "empty.csv").touch()
        (tmp_path / "picture.bin").write_bytes(bytes(range(256)))
        for n in range(MOST_NOTICES_A_FOLDER_COUNT + 1):
            put(tmp_path, f"many/{n:02}.txt", "x")
        _, notices = observed(tmp_path)
        assert [notice.origin for notice in notices] == ["empty.csv", "many", "notes.md", "picture.bin"]
        assert all("not a format this reader knows" in notice.message for notice in notices)
        assert "21 files, the first of them 00.txt" in notices[1].message

    def test_hidden_files_and_folders_are_skipped(self, tmp_path):
        put(tmp_path, "x.csv", "date,Blocks Mined", "2024-06-01,5")
        put(tmp_path, ".x.csv", "date,Blocks Mined", "2024-06-01,6")
        put(tmp_path, ".git/x.csv", "date,Blocks Mined", "2024-06-01,7")
        assert rows_of(tmp_path) == [("block_count", date(2024, 6, 1), 5.0)]
        assert observed(tmp_path)[1] == []

    def test_huge_file_is_skipped_unread(self, tmp_path):
        put(tmp_path, "x.csv", "date,Blocks Mined", "2024-06-01,5")
        huge = put(tmp_path, "huge.csv", "date,Blocks Mined", "2024-06-02,5")
        os.truncate(huge, LARGEST_FILE_BYTES + 1)
        batches, notices = observed(tmp_path)
        assert len(batches) == 1
        assert "larger than" in notices[0].message

    def test_linked_files_are_read_and_linked_folders_broken_links_and_pipes_are_not(self, tmp_path):
        real = put(tmp_path, "elsewhere/x.csv", "date,Blocks Mined", "2024-06-01,5")
        folder = tmp_path / "folder"
        folder.mkdir()
        (folder / "link.csv").symlink_to(real)
        (folder / "loop").symlink_to(folder)
        (folder / "nothing.csv").symlink_to(folder / "gone")
        os.mkfifo(folder / "pipe.csv")
        batches, notices = observed(folder)
        assert [batch.origin for batch in batches] == ["link.csv"]
        assert [notice.origin for notice in notices] == ["loop", "nothing.csv", "pipe.csv"]

    def test_origin_fits_one_printable_line(self, tmp_path):
        put(tmp_path, "a\nb.csv", "date,Blocks Mined", "2024-06-01,x")
        assert error_of(tmp_path).place == "a\\nb.csv row 2, column Blocks Mined"

    def test_one_bad_file_stops_the_good_ones(self, tmp_path):
        put(tmp_path, "a.csv", "date,Blocks Mined", "2024-06-01,5")
        put(tmp_path, "b.csv", "date,Difficulty", "2024-06-01,x")
        with pytest.raises(BadInputError):
            next(Files(tmp_path).observe(request()))

    def test_missing_folder_names_the_setting(self, tmp_path):
        assert error_of(tmp_path / "gone").place == "HASHPIVOT_FILES_DIR"

    def test_file_in_place_of_the_folder_names_the_setting(self, tmp_path):
        assert error_of(put(tmp_path, "x.csv", "hello")).place == "HASHPIVOT_FILES_DIR"

    def test_folder_without_exports_is_an_error_with_the_known_formats(self, tmp_path):
        put(tmp_path, "notes.md", "hello")
        error = error_of(tmp_path)
        assert error.place == "HASHPIVOT_FILES_DIR"
        assert "Coin Metrics" in error.expected
        assert "CryptoQuant" in error.expected
        assert "Parquet" in error.expected

    @pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
    def test_unreadable_file_is_rejected(self, tmp_path):
        put(tmp_path, "x.csv", "date,Blocks Mined", "2024-06-01,5").chmod(0)
        assert error_of(tmp_path).place == "x.csv"


def _cells() -> st.SearchStrategy[str]:
    odd = st.sampled_from(
        ["", "0", "-0.0", "1", "1e5", "1e400", "nan", "inf", '"', '"1"', "1,5", "5\r", "x", "٣", "1_0"]
    )
    days = st.sampled_from(["2024-06-01", "2024-06-02", "2024-13-01", "9999-12-31", "0000-00-00", str(TODAY)])
    return st.one_of(odd, days, st.text(max_size=6), st.floats().map(str))


def _csv() -> st.SearchStrategy[bytes]:
    headers = st.sampled_from(["date,Blocks Mined", "date,Miner Inflow (Total)", "time,PriceUSD", COINMETRICS[0]])
    rows = st.lists(st.lists(_cells(), max_size=3).map(",".join), max_size=6)
    lines = st.tuples(headers, rows).map(lambda parts: "\n".join([parts[0], *parts[1]]))
    return lines.map(lambda text: text.encode("utf-8", "surrogatepass"))


class TestWhateverIsInTheFile:
    @given(
        content=st.one_of(
            st.binary(max_size=200), _csv(), _csv().flatmap(lambda c: st.binary(max_size=9).map(c.__add__))
        )
    )
    @settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_text_gives_batches_notices_or_our_own_errors(self, tmp_path, content):
        (tmp_path / "x").write_bytes(content)
        self.observe(tmp_path)

    @given(data=st.data())
    @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_damaged_parquet_gives_batches_notices_or_our_own_errors(self, tmp_path, data):
        path = put_blocks(tmp_path, "x")
        content = bytearray(path.read_bytes())
        for _ in range(data.draw(st.integers(1, 4))):
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
        path.write_bytes(content)
        self.observe(tmp_path)

    @staticmethod
    def observe(folder: Path) -> None:
        try:
            found = list(Files(folder).observe(request()))
        except HashpivotError as error:
            found = [Notice(source="files", origin="x", message=str(error))]
        assert all(isinstance(each, Batch | Notice) for each in found)
        assert all(len(each.message.splitlines()) == 1 for each in found if isinstance(each, Notice))
