"""The command as a person or a cron job meets it: real processes, real files."""

import json
import os
import re
import signal
import subprocess
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from schemas.series import Group
from tests.invocation import COMMAND, Hashpivot, clean_environment, eventually, invoke

PRICE_HEADER = "time,BlkCnt,FeeTotNtv,IssTotNtv,PriceUSD\n"


@dataclass(frozen=True)
class FirstRun:
    """A folder in which one plain demo run has published, and what that printed."""

    folder: Path
    done: subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def first_run(tmp_path_factory: pytest.TempPathFactory) -> FirstRun:
    folder = tmp_path_factory.mktemp("demo")
    done = invoke(folder, "daily", "--plain", "--day", "2026-11-20")
    assert done.returncode == 0, done.stderr
    return FirstRun(folder, done)


@pytest.fixture
def demo(first_run: FirstRun) -> Path:
    return first_run.folder


def a_vendor_file(folder: Path, rows: int = 40, broken: str | None = None) -> Path:
    """A Coin Metrics file of invented figures; `broken` replaces the price of the eleven rows before the last.

    So many are more than are set aside.
    """
    folder.mkdir(exist_ok=True)
    lines = []
    for n in range(rows):
        day = datetime(2025, 1, 1, tzinfo=UTC) + timedelta(days=n)
        price = broken if broken is not None and rows - 12 <= n < rows - 1 else f"{90_000 + n}"
        lines.append(f"{day:%Y-%m-%d},144,2.5,450,{price}\n")
    path = folder / "export.csv"
    path.write_text(PRICE_HEADER + "".join(lines), encoding="utf-8")
    return path


def test_daily_shows_state_score_figures_conversion_and_where_it_published(first_run: FirstRun) -> None:
    done, folder = first_run.done, first_run.folder
    for expected in (
        "Bitcoin miners on 2026-11-20",
        "simulated data",
        "Profile demo, from registry, simulated",
        "Capitulation score",
        "income level",
        "income per hash",
        "hash rate",
        "Puell Multiple",
        "Hashprice",
        "Critical IT power leased",
        "of these Google",
        "data/published/hashpivot.duckdb",
    ):
        assert expected in done.stdout
    with duckdb.connect(str(folder / "data" / "published" / "hashpivot.duckdb"), read_only=True) as reader:
        assert reader.execute(
            "select count(distinct sources), any_value(sources) from capitulation_daily"
        ).fetchone() == (
            1,
            "simulated",
        )


def test_second_run_reports_in_json_adds_no_observation_and_gives_the_same_tables(demo: Path) -> None:
    def tables() -> dict[str, bytes]:
        folder = demo / "data/published/parquet"
        return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.parquet")}

    before = tables()
    done = invoke(demo, "daily", "--plain", "--day", "2026-11-20", "--json")
    assert done.returncode == 0, done.stderr
    stated = json.loads(done.stdout)
    assert (stated["day"], stated["profile"]) == ("2026-11-20", "demo")
    assert stated["rows"]["capitulation_daily"] > 6 * 365
    assert tables() == before
    shown = invoke(
        demo, "sql", "select new_count, revised_count from meta.runs order by started_at desc limit 1", "--json"
    )
    assert json.loads(shown.stdout) == [{"new_count": 0, "revised_count": 0}]


def test_backfill_takes_the_range_only_and_gives_the_same_tables_in_parts(hashpivot: Hashpivot, tmp_path: Path) -> None:
    days = ("--from", "2026-01-01", "--to", "2026-03-31", "--plain")
    tables = []
    for shards, options in (("1", ()), ("3", ("--shards", "3"))):
        done = hashpivot("backfill", *days, *options, "--home", shards)
        assert done.returncode == 0, done.stderr
        sql = "select min(day) as first, max(day) as last from capitulation_daily where price_usd > 0"
        shown = hashpivot("sql", sql, "--json", "--home", shards)
        assert json.loads(shown.stdout) == [{"first": "2026-01-01", "last": "2026-03-31"}]
        tables.append(
            {
                "/".join(path.parts[-2:]): path.read_bytes()
                for pattern in ("*_daily.parquet", "*_daily/*.parquet")
                for path in (tmp_path / shards).glob(f"published/current/parquet/{pattern}")
            }
        )
    assert "0 of 4 parts: fetching simulated 2026-01-01 to 2026-01-30" in done.stderr
    assert "3 of 4 parts: publishing" in done.stderr
    assert len(tables[0]) > 5
    assert tables[0] == tables[1]


def test_past_day_is_published_beside_later_ones_and_the_command_states_it(demo: Path) -> None:
    done = invoke(demo, "daily", "--plain", "--day", "2026-01-16")
    assert done.returncode == 0, done.stderr
    assert "Bitcoin miners on 2026-01-16" in done.stdout
    assert "Publication: data/rebuilt/2026-01-16/hashpivot.duckdb" in done.stdout
    assert "beside the current publication, which has later days" in " ".join(done.stdout.split())
    assert "--replace" in done.stdout
    assert "Bitcoin miners on 2026-11-20" in invoke(demo, "show").stdout


def test_sensitivity_judges_the_published_days_with_each_number_changed(demo: Path) -> None:
    found = json.loads(invoke(demo, "sensitivity", "--json").stdout)
    first, *others = found["variants"]
    assert first["variant"] == "as published"
    sql = "select day_count from rule_comparison where rule = 'capitulation'"
    assert json.loads(invoke(demo, "sql", sql, "--json").stdout) == [{"day_count": first["day_count"]}]
    assert len(others) > 30
    assert {row["rule"] for row in found["halves"]} >= {"capitulation", "hash_ribbon_plain"}
    assert "hysteresis of 0 points" in invoke(demo, "sensitivity").stdout


def test_backtest_prints_the_published_figures_on_80_columns(demo: Path) -> None:
    printed = invoke(demo, "backtest", "--draws", "20", "--horizon", "90").stdout
    assert max(map(len, printed.splitlines())) <= 80
    assert "90 days later" in printed
    found = json.loads(invoke(demo, "backtest", "--draws", "20", "--json").stdout)
    assert found["block_days"] >= 1
    lows = json.loads(invoke(demo, "sql", "select * from price_low_by_rule", "--json", "--limit", "10000").stdout)
    assert [{name: row[name] for name in lows[0] if name != "sources"} for row in found["lows"]] == [
        {name: value for name, value in row.items() if name != "sources"} for row in lows
    ]
    first = json.loads(invoke(demo, "sql", "select * from signal_first_published", "--json").stdout)
    assert found["first_published"] == first
    sql = "select rule, entry, horizon_days, observation_count, return_median_pct from signal_backtest"
    published = json.loads(invoke(demo, "sql", sql, "--json").stdout)
    assert [{name: row[name] for name in published[0]} for row in found["rows"]] == published
    judged = [row for row in found["rows"] if row["observation_count"]]
    assert {row["draw_count"] for row in judged} == {20}
    assert all(0 <= row["draw_as_good_count"] <= 20 for row in judged)


@pytest.mark.long
def test_catch_up_publishes_missed_days_in_order(hashpivot: Hashpivot) -> None:
    last = (datetime.now(UTC) - timedelta(hours=2)).date() - timedelta(days=1)
    first = last - timedelta(days=3)
    assert hashpivot("daily", "--plain", "--day", str(first)).returncode == 0
    done = hashpivot("daily", "--plain", "--catch-up")
    assert done.returncode == 0, done.stderr
    days = json.loads(hashpivot("sql", "select day from meta.runs order by started_at", "--json").stdout)
    assert [row["day"] for row in days] == [str(first + timedelta(days=n)) for n in range(4)]


def test_summary_of_invented_data_states_the_commands_for_real_data(first_run: FirstRun) -> None:
    demo = first_run.folder
    for profile in ("lake", "live", "files", "node"):
        assert f"hashpivot daily --profile {profile}" in first_run.done.stdout
    a_vendor_file(demo / "exports")
    real = invoke(demo, "daily", "--plain", "--profile", "files", "--files-dir", "exports", "--home", "real")
    assert real.returncode == 0, real.stderr
    assert "--profile lake" not in real.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (
            ("daily", "--plain", "--profile", "nowhere"),
            2,
            "expected one of demo, files, lake, live, node, node-only or a TOML file",
        ),
        (("daily", "--plain", "--day", "2999-01-01"), 2, "a UTC day that is over"),
        (("daily", "--plain", "--replace"), 2, "--replace: found True, expected a --day"),
        (("daily", "--plain", "--runner", "dask"), 2, "--runner: found 'dask', expected threads with --plain"),
        (("daily", "--plain", "--dask-address", "tcp://10.0.0.5:8786"), 2, "expected --runner dask beside it"),
        (("daily", "--runner", "dask", "--dask-address", "10.0.0.5:8786"), 2, "HASHPIVOT_DASK_ADDRESS: found '10.0.0"),
        (("backfill", "--plain", "--from", "2026-02-01", "--to", "2026-01-01"), 2, "a day up to 2026-01-01"),
        (("daily", "--plain", "--profile", "files"), 2, "HASHPIVOT_FILES_DIR"),
        (("daily", "--plain", "--profile", "files", "--files-dir", "missing"), 3, "missing"),
        (("show",), 7, "daily` first"),
    ],
)
def test_failure_is_one_line_and_an_exit_code(
    hashpivot: Hashpivot, arguments: tuple[str, ...], code: int, message: str
) -> None:
    done = hashpivot(*arguments)
    assert done.returncode == code
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert message in done.stderr


def test_bad_number_in_the_environment_is_named(hashpivot: Hashpivot) -> None:
    done = hashpivot("daily", "--plain", HASHPIVOT_KEEP_PUBLICATIONS="none")
    assert done.returncode == 2
    assert "HASHPIVOT_KEEP_PUBLICATIONS" in done.stderr
    assert "'none'" in done.stderr


def test_corrupt_file_is_named_by_row_and_column_and_the_last_publication_stays(
    hashpivot: Hashpivot, tmp_path: Path
) -> None:
    files = tmp_path / "exports"
    a_vendor_file(files)
    first = hashpivot("daily", "--plain", "--profile", "files", "--files-dir", "exports")
    assert first.returncode == 0, first.stderr
    before = (tmp_path / "data/published/current").readlink()
    a_vendor_file(files, broken="9O000")
    second = hashpivot("daily", "--plain", "--profile", "files", "--files-dir", "exports")
    assert second.returncode == 3
    for part in ("export.csv row 30", "PriceUSD", "'9O000'", "11 of 160 rows fail"):
        assert part in second.stderr
    assert (tmp_path / "data/published/current").readlink() == before
    shown = hashpivot("show", "capitulation_daily", "--limit", "3", "--columns", "day,price_usd").stdout
    assert "90,038" in shown


def test_run_that_failed_is_listed_by_the_next_publication_and_a_file_with_other_columns_too(
    hashpivot: Hashpivot, tmp_path: Path
) -> None:
    a_vendor_file(tmp_path / "exports", broken="nothing")
    (tmp_path / "exports" / "shopping.csv").write_text("item,price\nmilk,2\n", encoding="utf-8")
    assert hashpivot("daily", "--plain", "--profile", "files", "--files-dir", "exports").returncode == 3
    a_vendor_file(tmp_path / "exports")
    assert hashpivot("daily", "--plain", "--profile", "files", "--files-dir", "exports").returncode == 0
    shown = json.loads(hashpivot("sql", "select status, error from meta.runs order by started_at", "--json").stdout)
    assert [row["status"] for row in shown] == ["failed", "published"]
    assert "'nothing'" in shown[0]["error"]
    skipped = hashpivot("sql", "select check_name, detail from meta.quality where severity = 'notice'").stdout
    assert "shopping.csv" in skipped


def test_empty_folder_publishes_nothing(hashpivot: Hashpivot, tmp_path: Path) -> None:
    (tmp_path / "exports").mkdir()
    done = hashpivot("daily", "--plain", "--profile", "files", "--files-dir", "exports")
    assert done.returncode == 3
    assert "exports" in done.stderr
    assert not (tmp_path / "data" / "published").exists()


def test_own_profile_is_a_toml_file(hashpivot: Hashpivot, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(
        'title = "Mine"\nsources = ["simulated"]\n[precedence]\n'
        + "".join(f'{group} = ["simulated"]\n' for group in Group if group != Group.FILINGS),
        encoding="utf-8",
    )
    done = hashpivot("daily", "--plain", "--profile", "mine.toml")
    assert done.returncode == 0, done.stderr
    shown = hashpivot("sql", "select count(price_usd) > 0 as price from capitulation_daily", "--json")
    assert json.loads(shown.stdout) == [{"price": True}]
    assert json.loads(hashpivot("sql", "select profile from meta.runs", "--json").stdout) == [{"profile": "mine"}]


def test_profile_with_an_unknown_source_is_refused(hashpivot: Hashpivot, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('title = "Mine"\nsources = ["oracle"]\n[precedence]\n', encoding="utf-8")
    done = hashpivot("daily", "--plain", "--profile", "mine.toml")
    assert done.returncode == 2
    assert "mine.toml" in done.stderr
    assert "oracle" in done.stderr


def test_show_names_a_table_that_does_not_exist(demo: Path) -> None:
    done = invoke(demo, "show", "capitulation")
    assert done.returncode == 1
    assert "expected one of asic_model" in done.stderr


def test_show_lists_the_newest_rows_last(demo: Path) -> None:
    shown = json.loads(invoke(demo, "show", "capitulation_daily", "--last", "2", "--columns", "day", "--json").stdout)
    assert shown == [{"day": "2026-11-19"}, {"day": "2026-11-20"}]


def test_printed_commands_can_be_pasted_and_the_day_cuts_every_daily_table(demo: Path) -> None:
    """In another home and by a path that no shell looks in."""
    done = invoke(demo, "show", "--home", "of mine")
    (advised,) = re.findall(r"run `([^`]+)`", done.stderr)
    assert advised == f"{COMMAND} daily --home 'of mine'"
    there = {"cwd": demo, "env": clean_environment(), "capture_output": True, "text": True}
    pasted = subprocess.run(f"{advised} --plain --day 2024-03-15", shell=True, **there)
    assert pasted.returncode == 0, pasted.stderr
    (query,) = re.findall(r"^Query it: +(.+)$", pasted.stdout, re.MULTILINE)
    rows = subprocess.run(f"{query} --limit 3", shell=True, **there)
    header, *shown = rows.stdout.splitlines()
    assert header.split() == ["day", "capitulation_state", "capitulation_score"], rows.stderr
    assert re.match(r"\d{4}-\d\d-\d\d ", shown[2])
    assert f"{COMMAND} daily --profile live --home 'of mine-real'" in pasted.stdout
    days = " union all ".join(
        f"select max(day) = '2024-03-15' as cut from {table}"
        for table in (
            "capitulation_daily",
            "pool_daily",
            "conversion_daily",
            "exchange_flow_total_daily",
            "exchange_flow_daily",
        )
    )
    cuts = json.loads(invoke(demo, "sql", f"select distinct cut from ({days})", "--json", "--home", "of mine").stdout)
    assert cuts == [{"cut": True}]


def test_sql_cannot_write(demo: Path) -> None:
    done = invoke(demo, "sql", "delete from capitulation_daily")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "read-only" in done.stderr


def test_doctor_finds_a_healthy_installation_healthy(demo: Path) -> None:
    done = invoke(demo, "doctor", "--json")
    shown = json.loads(done.stdout)
    assert [(row["what"], row["state"]) for row in shown if row["state"] != "ok"] == [("alerts", "left out")]
    assert done.returncode == 0
    assert {"python", "disk", "clock", "lock", "publication", "source simulated"} <= {row["what"] for row in shown}


def test_doctor_names_which_setting_is_missing(demo: Path) -> None:
    done = invoke(demo, "doctor", "--profile", "files", "--home", "other", "--json")
    assert done.returncode == 1
    problem = next(row for row in json.loads(done.stdout) if row["state"] == "PROBLEM")
    assert "HASHPIVOT_FILES_DIR" in problem["found"]


def test_second_run_at_the_same_time_is_shown_who_holds_the_lock(demo: Path) -> None:
    command = [COMMAND, "daily", "--plain"]
    holder = subprocess.Popen(command, cwd=demo, env=clean_environment(HOME=str(demo)), stderr=subprocess.PIPE)
    lock = demo / "data" / "run.lock"
    eventually(lambda: f"process {holder.pid}" in lock.read_text(encoding="utf-8"), "the lock")
    os.kill(holder.pid, signal.SIGSTOP)
    try:
        done = invoke(demo, "daily", "--plain")
    finally:
        os.kill(holder.pid, signal.SIGCONT)
        holder.communicate(timeout=120)
    assert done.returncode == 75
    assert f"process {holder.pid}" in done.stderr
    assert holder.returncode == 0


def test_killed_run_leaves_the_last_publication_and_the_next_run_goes_on(demo: Path) -> None:
    published = demo / "data" / "published" / "hashpivot.duckdb"
    command = [COMMAND, "daily", "--plain", "--day", "2026-11-20"]
    for wait in (0.3, 1.2, 1.8, 2.4, 3.0):
        victim = subprocess.Popen(
            command,
            cwd=demo,
            env=clean_environment(HOME=str(demo)),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(wait)
        victim.kill()
        victim.wait()
        with duckdb.connect(str(published), read_only=True) as reader:
            assert reader.execute("select max(day)::varchar from capitulation_daily").fetchone() is not None
    done = invoke(demo, "daily", "--plain", "--day", "2026-11-20")
    assert done.returncode == 0, done.stderr
    assert list((demo / "data/published/versions").glob(".draft-*")) == []
