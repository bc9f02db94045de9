"""A history that comes back in another unit stops the run, and a person may accept it by the name of the check."""

import json
from datetime import timedelta
from pathlib import Path

from tests.invocation import Hashpivot, last_final_day
from transforms.checks.last_publication import RESCALED


def write_export(folder: Path, price_factor: int) -> None:
    """A Coin Metrics file of forty invented days, which ends on the last one that is final."""
    days = [last_final_day() - timedelta(days=n) for n in range(40)]
    lines = [f"{day},144,2.5,450,{(90_000 + n) * price_factor}" for n, day in enumerate(days)]
    folder.mkdir(exist_ok=True)
    (folder / "export.csv").write_text("\n".join(["time,BlkCnt,FeeTotNtv,IssTotNtv,PriceUSD", *lines, ""]))


def test_history_of_another_unit_stops_until_it_is_accepted(hashpivot: Hashpivot, tmp_path: Path) -> None:
    run = ("daily", "--plain", "--profile", "files", "--files-dir", "exports")
    write_export(tmp_path / "exports", 1)
    assert hashpivot(*run).returncode == 0

    write_export(tmp_path / "exports", 100)
    stopped = hashpivot(*run)
    assert stopped.returncode == 5
    assert f"{RESCALED.name} (price_usd: 40 of 40 days" in stopped.stderr
    assert "by a factor of 100" in stopped.stderr
    assert "HASHPIVOT_ACCEPT" in stopped.stderr
    (row,) = json.loads(hashpivot("sql", "select max(price_usd) as most from capitulation_daily", "--json").stdout)
    assert row["most"] < 100_000

    accepted = hashpivot(*run, HASHPIVOT_ACCEPT=f"another check; {RESCALED.name}")
    assert accepted.returncode == 0, accepted.stderr
    found = f"select severity, passed, detail from meta.quality where check_name = '{RESCALED.name}'"
    (row,) = json.loads(hashpivot("sql", found, "--json").stdout)
    assert (row["severity"], row["passed"]) == ("warning", False)
    assert row["detail"].endswith("accepted by HASHPIVOT_ACCEPT")
