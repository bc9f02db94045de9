"""What a run leaves out, computes or cannot know is on the console, in a line each."""

import json
from pathlib import Path

import polars as pl

from flows.run.ingest import in_short
from schemas.observations import Notice
from tests.invocation import invoke


def test_notices_of_one_reason_share_a_line_and_a_single_one_is_whole() -> None:
    notices = [
        *(Notice(source="files", origin=f"{n}.txt", message="skipped: unknown") for n in range(5)),
        Notice(source="vendor", origin="a.csv", message="day 2024-06-02 dropped (Blocks 6): the day is not over"),
    ]
    assert list(in_short(notices)) == [
        "files: 0.txt, 1.txt, 2.txt and 2 more: unknown",
        "vendor: a.csv: day 2024-06-02 dropped (Blocks 6): the day is not over",
    ]


def test_console_names_what_a_narrow_file_lacks_and_what_stays_null(shared_data: Path, tmp_path: Path) -> None:
    """Three columns of Coin Metrics' real file, beside a file that nobody knows."""
    exports = tmp_path / "exports"
    exports.mkdir()
    rows = pl.read_csv(shared_data / "coinmetrics" / "btc.csv", infer_schema_length=None)
    rows.select("time", "IssTotUSD", "HashRate", "FeeTotNtv").write_csv(exports / "btc.csv")
    (exports / "notes.txt").write_text("mine")
    command = ("daily", "--plain", "--profile", "files")
    done = invoke(tmp_path, *command, HASHPIVOT_FILES_DIR=str(exports))
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert "notice: files: notes.txt: skipped: not a format this reader knows" in lines
    assert any("notice: coinmetrics_export: btc.csv: has no column PriceUSD, BlkCnt" in line for line in lines)
    (price,) = (line for line in lines if line.startswith("No source states price_usd; NULL without it: "))
    assert "more" in price
    done = invoke(tmp_path, *command, "--json", HASHPIVOT_FILES_DIR=str(exports))
    null = json.loads(done.stdout)["unstated"]["price_usd"]
    assert {"capitulation_daily.price_usd", "capitulation_daily.capitulation_score"} <= set(null)
    assert "capitulation_daily.puell_issuance_ratio" not in null
