"""A bad row among good ones, from a file or a server to the publication: held, accepted and marked, taken out again."""

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from flows.command.doctor import examine
from flows.command.quarantine_group import quarantine
from flows.run.ingest import ingest
from flows.run.pipeline import run_all
from flows.run.plan import plan
from flows.run.publish import Outcome, outcome_facts
from flows.run.trace import trace
from flows.scheduled.flows import _message
from flows.settings import Settings, read_profile
from schemas.errors import BadInputError, ContractError
from tests.live.replaying import replayed
from tests.replay import ReplayRequest, ReplayResponse, json_response
from tests.replay.sites.prices import KrakenReplay
from transforms.tables.capitulation_daily import TABLE as DAILY
from warehouse.reading import query
from warehouse.working import open_working

NOW = datetime(2026, 9, 11, 6, tzinfo=UTC)
FIRST, LAST = date(2026, 6, 1), date(2026, 9, 10)
BAD = date(2026, 8, 20)
SUPPLIER = "coinmetrics_export"


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Write an export with other cells of the price on some days."""
    folder = tmp_path / "exports"
    folder.mkdir()
    monkeypatch.setenv("HASHPIVOT_FILES_DIR", str(folder))

    def export(**cells: str) -> None:
        lines = ["time,BlkCnt,FeeTotNtv,HashRate,IssTotNtv,PriceUSD,SplyCur"]
        for n in range((LAST - FIRST).days + 1):
            day = FIRST + timedelta(days=n)
            price = cells.get(f"on_{day:%m%d}", f"{60_000 + n}")
            prices = [price, cells[again]] if (again := f"again_{day:%m%d}") in cells else [price]
            rest = f"{20_000_000 + n * 450}"
            lines += [f"{day},144,20.5,{900_000_000 + n * 10_000},450,{each},{rest}" for each in prices]
        (folder / "btc.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")

    return export


def published(home: Path, now: datetime = NOW) -> Outcome:
    return run_all(plan(Settings(home=home, profile="files"), read_profile("files"), now=now))


def command(home: Path, *arguments: str) -> Result:
    return CliRunner(env={"COLUMNS": "300"}).invoke(quarantine, [*arguments, "--home", str(home)])


def listed(home: Path, status: str = "held") -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(command(home, "list", "--json", "--status", status).output)
    return rows


def rows(home: Path, sql: str) -> list[tuple[Any, ...]]:
    return query(home / "published", sql)[1]


PRICE = f"select price_usd from capitulation_daily where day = '{BAD}'"
REASON = (
    "select distinct reason, first_day, last_day from meta.nulls "
    "where table_name = 'capitulation_daily' and column_name = 'price_usd' and last_day >= '2026-06-01'"
)
MARKS = "select check_name, severity, passed, value, detail from meta.quality where check_name like '%quarantine%'"
WHY = f"found '60200', expected 60080 for {BAD}, as in row 82"


def test_a_bad_row_of_a_file_is_held_then_accepted_then_marked(tmp_path: Path, write: Callable[..., None]) -> None:
    home = tmp_path / "home"
    write(on_0820="60080", again_0820="60200")
    outcome = published(home)
    other = f"row 82, column PriceUSD: found '60080', expected 60200 for {BAD}, as in row 83"
    held = f"2 rows held: daily_value price_usd {BAD}; first: btc.csv, {other}"
    warning = f"{SUPPLIER}: no row is held in quarantine: {held}; decide by `hashpivot quarantine list`"
    assert warning in outcome.warnings
    assert f"warning: {warning[:100]}" in _message(outcome)
    (source,) = outcome_facts(outcome)["sources"].values()
    assert f"btc.csv: {other}, and 1 more: held in quarantine" in "".join(source["notices"])
    assert rows(home, PRICE) == [(None,)]
    assert rows(home, REASON) == [("no observation of price_usd; its row is held in quarantine", BAD, BAD)]
    assert [row[:4] for row in rows(home, MARKS)] == [
        (f"{SUPPLIER}: no row is held in quarantine", "warning", False, 2.0)
    ]
    finding = next(each for each in examine({"home": home, "profile": "files"}) if each.subject == "quarantine")
    assert (finding.ok, finding.found) == (False, f"rows held: 2 of {SUPPLIER}")
    assert WHY in command(home, "list").output

    accepted = command(home, "accept", "2", "--note", "seen on two venues", "--by", "ann")
    assert accepted.output.startswith(f"accepted entry 2: {SUPPLIER} price_usd {BAD}, {WHY}\n")
    (entry,) = listed(home, "accepted")
    assert entry["received"] == {"time": str(BAD), "PriceUSD": "60200"}
    assert command(home, "list").output == "no row held\n"
    again = published(home, NOW + timedelta(hours=1))
    assert rows(home, PRICE) == [(60_200.0,)]
    assert rows(home, REASON) == []
    assert not [each for each in again.warnings if "quarantine" in each]
    decided_at = f"{datetime.fromisoformat(entry['decided_at']):%Y-%m-%d %H:%M}"
    assert (
        f"{SUPPLIER}: accepted from the quarantine",
        "notice",
        True,
        1.0,
        f"daily_value price_usd {BAD} broke the rule 'repeated' ({WHY}); accepted by ann on {decided_at} UTC: "
        "seen on two venues",
    ) in rows(home, MARKS)
    settings, key = Settings(home=home, profile="files"), {"day": BAD}
    traced = trace(settings, read_profile("files"), LAST, NOW + timedelta(hours=1), DAILY, "price_usd", key)
    (observation,) = traced.observations
    assert [batch["origin"] for batch in observation.batches] == [
        "quarantine entry 2: accepted by ann: seen on two venues"
    ]
    (source,) = outcome_facts(again)["sources"].values()
    assert "1 row that fails: accepted before and in use" in "".join(source["notices"])
    assert [each["status"] for each in listed(home, "all")] == ["rejected", "accepted"]

    assert command(home, "reject", "2", "--note", "a typing error").exit_code == 0
    with open_working(home / "warehouse" / "working.duckdb") as connection:
        of_day = "select count(*) from raw.latest_daily_value where series = 'price_usd' and day = ?"
        assert connection.execute(of_day, [BAD]).fetchone() == (0,)


def test_an_accepted_row_that_no_table_can_hold_stops_with_what_takes_it_out(
    tmp_path: Path, write: Callable[..., None]
) -> None:
    home = tmp_path / "home"
    write(on_0820="-5")
    run = plan(Settings(home=home, profile="files"), read_profile("files"), now=NOW)
    ingest(run, "files")
    assert command(home, "accept", "1", "--note", "x", "--by", "ann").exit_code == 0
    with pytest.raises(ContractError, match=r"entry 1; `hashpivot quarantine reject 1` takes it out") as refused:
        published(home, NOW + timedelta(hours=1))
    assert "\n" not in str(refused.value)
    refused_again = command(home, "accept", "1", "--note", "x")
    assert "found it accepted, expected one to accept: held or rejected" in str(refused_again.exception)


def test_a_corrected_row_of_a_file_releases_and_too_many_bad_ones_stop_the_source(
    tmp_path: Path, write: Callable[..., None]
) -> None:
    home = tmp_path / "home"
    run = plan(Settings(home=home, profile="files"), read_profile("files"), now=NOW)
    write(on_0820="n/a")
    assert len(ingest(run, "files").notices) == 2
    refused = command(home, "accept", "1", "--note", "x")
    assert "a row that breaks the rule 'unreadable'" in str(refused.exception)
    write()
    later = plan(Settings(home=home, profile="files"), read_profile("files"), now=NOW + timedelta(hours=1))
    corrected = ingest(later, "files")
    assert any("1 row that failed before: the source sent others in their place" in each for each in corrected.notices)
    assert (corrected.new_count, corrected.revised_count) == (1, 0)
    (entry,) = listed(home, "all")
    assert (entry["status"], entry["released_because"]) == ("released", "the source sent a sound row in its place")

    write(**{f"on_08{n:02}": "-1" for n in range(1, 12)})
    with pytest.raises(BadInputError, match=r"btc\.csv row 63, column PriceUSD: .*11 of 612 rows fail, more than are"):
        ingest(later, "files")
    assert len(listed(home, "all")) == 1


def test_a_bad_row_of_a_server_is_held_and_the_others_are_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = KrakenReplay()
    site.today = NOW.date()
    sound = site.respond
    bad_days = [BAD]

    def respond(request: ReplayRequest, base: str) -> ReplayResponse | None:
        response = sound(request, base)
        assert response is not None
        content = json.loads(response.body)
        for row in content["result"]["XXBTZUSD"]:
            if datetime.fromtimestamp(row[0], UTC).date() in bad_days:
                row[4] = "-1"
        return json_response(content)

    monkeypatch.setattr(site, "respond", respond)
    profile = tmp_path / "mine.toml"
    profile.write_text('title = "Prices"\nsources = ["kraken"]\n[precedence]\nprice = ["kraken"]\n', encoding="utf-8")
    home = tmp_path / "home"
    with replayed(monkeypatch, [site], time_scale=0.05):
        for n in range(2):
            now = NOW + timedelta(hours=n)
            run = plan(Settings(home=home), read_profile(str(profile)), since=BAD - timedelta(days=9), now=now)
            done = ingest(run, "kraken")
            assert done.row_count == (LAST - BAD).days + 9
            assert done.missing is None
        (entry,) = listed(home)
        assert (entry["source"], entry["key"]) == ("kraken", {"series": "price_usd", "day": str(BAD)})
        assert (entry["received"], entry["reason"]) == (
            {"day": str(BAD), "close": "-1"},
            "found '-1', expected above 0 and at most 100000000",
        )
        assert entry["first_run_id"] != entry["last_run_id"]
        bad_days.clear()
        ingest(plan(Settings(home=home), read_profile(str(profile)), since=BAD, now=NOW + timedelta(hours=3)), "kraken")
        assert listed(home) == []
