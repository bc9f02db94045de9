"""A second server of one kind: settings, rate limit and supplier of its own, ranked beside the first, never mixed."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from flows.run.pipeline import run_all
from flows.run.plan import plan
from flows.settings import Profile, Settings, read_profile
from flows.sources.choose import source_named
from flows.sources.kinds import supplier_named
from schemas.errors import SettingsError
from tests.replay import ReplayServer
from tests.replay.chain import mainlike
from tests.replay.sites.esplora import EsploraReplay
from warehouse.reading import query

NOW = datetime(2026, 9, 11, 6, tzinfo=UTC)
TIME_SCALE = 0.03
PROFILE = """
title = "Two Esplora servers"
degrades = true
sources = ["esplora", "esplora.backup"]
[precedence]
blocks = ["esplora", "esplora.backup"]
chain = ["esplora", "esplora.backup"]
"""


@pytest.fixture
def profile(tmp_path: Path) -> Profile:
    (tmp_path / "two.toml").write_text(PROFILE, encoding="utf-8")
    return read_profile(str(tmp_path / "two.toml"))


def esplora() -> EsploraReplay:
    site = EsploraReplay(mainlike())
    site.now = NOW
    return site


def test_both_are_stored_and_only_the_preferred_one_is_used(
    profile: Profile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = esplora(), esplora()
    # The second server saw other blocks at the tip.
    second.chain.replace(second.tip - 40)
    with (
        ReplayServer([first], time_scale=TIME_SCALE) as one,
        ReplayServer([second], time_scale=TIME_SCALE) as two,
    ):
        for variable, value in one.settings().items():
            monkeypatch.setenv(variable, value)
        monkeypatch.setenv("HASHPIVOT_ESPLORA_BACKUP_URL", two.base("esplora"))
        outcome = run_all(plan(Settings(home=tmp_path / "home"), profile, now=NOW))
        one.check()
        two.check()
        assert len(two.requests_of("esplora")) > 10

    def rows(sql: str) -> list[tuple[Any, ...]]:
        return query(tmp_path / "home" / "published", sql)[1]

    assert not outcome.coverage
    stated = rows("select source, title, used_for, row_count, request_count from meta.sources")
    sources = {name: rest for name, *rest in stated}
    assert sources["esplora"][1] == "block_count, difficulty, blocks"
    assert sources["esplora.backup"][0] == "Esplora, blockstream.info or a server of one's own (backup)"
    assert sources["esplora.backup"][1] == ""
    assert sources["esplora.backup"][2] > 100
    assert sources["esplora.backup"][3] == len(two.requests_of("esplora"))
    assert sources["esplora"][3] == len(one.requests_of("esplora"))
    assert rows("select distinct sources from pool_daily") == [("esplora",)]
    home = tmp_path / "home" / "web"
    assert {each.name for each in (home / "pace").glob("esplora*.sqlite")} == {
        "esplora.sqlite",
        "esplora.backup.sqlite",
    }


def test_the_second_takes_over_where_the_first_is_missing(
    profile: Profile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    second = esplora()
    with ReplayServer([second], time_scale=TIME_SCALE) as two:
        monkeypatch.setenv("HASHPIVOT_WEB_TIME_SCALE", str(TIME_SCALE))
        monkeypatch.setenv("HASHPIVOT_ESPLORA_URL", f"http://127.0.0.1:{two.port}/gone")
        monkeypatch.setenv("HASHPIVOT_ESPLORA_BACKUP_URL", two.base("esplora"))
        outcome = run_all(plan(Settings(home=tmp_path / "home"), profile, now=NOW))
    assert [each.missing.source for each in outcome.coverage] == ["esplora"]
    _, found = query(tmp_path / "home" / "published", "select distinct sources from pool_daily")
    assert found == [("esplora.backup",)]


def test_its_address_has_to_be_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HASHPIVOT_ESPLORA_URL", "http://127.0.0.1:1/api")
    with pytest.raises(SettingsError, match="HASHPIVOT_ESPLORA_BACKUP_URL: found None"):
        source_named("esplora.backup", Settings(home=tmp_path))


@pytest.mark.parametrize(
    "name", ["esplora.", "esplora.Backup", "esplora.a.b", "node.second", "simulated.other", "oracle.x"]
)
def test_a_name_that_is_no_server_is_rejected_when_the_profile_is_read(name: str, tmp_path: Path) -> None:
    (tmp_path / "odd.toml").write_text(f'title = "Odd"\nsources = ["{name}"]\n[precedence]\n', encoding="utf-8")
    with pytest.raises(SettingsError, match="sources: found"):
        read_profile(str(tmp_path / "odd.toml"))
    assert supplier_named(name) is None
