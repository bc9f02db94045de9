"""A home holds data of one family: what is simulated, or of another chain, takes no place of real data unnoticed."""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from flows.command.doctor import examine
from flows.run import pipeline, plan
from flows.run.family import family_of, held
from flows.scheduled.parameters import BackfillParameters, DailyParameters, PublishParameters, RefreshParameters
from flows.settings import Profile, Settings, read_profile, read_settings
from schemas.errors import SettingsError
from tests.invocation import invoke
from warehouse.reading import query

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
LAST = NOW.date() - timedelta(days=1)


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose home, `data`, holds forty days from a vendor's file."""
    folder = tmp_path_factory.mktemp("real")
    (folder / "exports").mkdir()
    lines = [f"{LAST - timedelta(days=n)},144,2.5,450,{90_000 + n}" for n in range(40)]
    (folder / "exports" / "export.csv").write_text(
        "\n".join(["time,BlkCnt,FeeTotNtv,IssTotNtv,PriceUSD", *lines]), encoding="utf-8"
    )
    settings = read_settings(home=folder / "data", files_dir=folder / "exports")
    pipeline.run_all(plan.plan(settings, read_profile("files"), now=NOW))
    return folder


def demo(settings: Settings, **chosen: bool) -> plan.Run:
    return plan.plan(settings, read_profile("demo"), now=NOW, **chosen)


@pytest.mark.parametrize(
    ("sources", "chain", "family"),
    [
        (("files",), "main", "main"),
        (("coinmetrics", "mempool", "esplora.backup"), "regtest", "main"),
        (("node", "files"), "main", "main"),
        (("node",), "regtest", "regtest"),
        (("files", "node"), "regtest", "regtest"),
        (("simulated",), "main", "simulated"),
        (("coinmetrics", "simulated"), "main", "simulated"),
        (("node", "simulated"), "signet", "signet and simulated"),
    ],
)
def test_family_follows_from_the_sources_whatever_the_profile_is_called(
    sources: tuple[str, ...], chain: str, family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HASHPIVOT_NODE_CHAIN", chain)
    profile = Profile(name="demo", title="Own", sources=sources, precedence={})
    assert family_of(read_settings(), profile) == family


def test_simulated_data_takes_no_place_of_real_data(real: Path) -> None:
    home = real / "data"
    before = (home / "published" / "current").readlink()
    with pytest.raises(SettingsError) as refused:
        pipeline.run_all(demo(Settings(home=home)))
    words = str(refused.value)
    assert f"home {home}: found 'main data of profile files', expected simulated data, which profile demo" in words
    assert "--home" in words
    assert "--switch-profile" in words
    assert "\n" not in words
    assert (home / "published" / "current").readlink() == before
    (stored,) = query(home / "published", "select count(*) from meta.sources where source = 'simulated'")[1]
    assert stored == (0,)


def test_command_refuses_it_in_one_line_with_and_without_the_scheduler(real: Path) -> None:
    for arguments in (("--plain",), ()):
        done = invoke(real, "daily", *arguments)
        assert done.returncode == 2, done.stderr
        lines = [line for line in done.stderr.splitlines() if "expected simulated data" in line]
        assert len(lines) == 1
        assert lines[0].startswith("error: home ")


def test_doctor_and_show_name_profile_and_sources_and_doctor_the_mismatch(real: Path) -> None:
    given = {"home": real / "data", "files_dir": real / "exports"}
    findings = {each.subject: each for each in examine({**given, "profile": "files"})}
    assert findings["profile"].ok
    assert "of profile files from coinmetrics_export, registry, with days" in findings["publication"].found
    wrong = {each.subject: each for each in examine({**given, "profile": "demo"})}["profile"]
    assert not wrong.ok
    assert "main data of profile files" in wrong.found
    assert "Profile files, from coinmetrics_export, registry" in invoke(real, "show").stdout


def test_profile_is_switched_where_that_is_wished_and_then_has_to_be_switched_back(
    published_demo: Path, tmp_path: Path, real: Path
) -> None:
    home = shutil.copytree(published_demo.parent, tmp_path / "home", symlinks=True)
    settings = read_settings(home=home, files_dir=real / "exports")
    files = read_profile("files")
    assert held(settings) == ("simulated", "demo")
    with pytest.raises(SettingsError, match="found 'simulated data of profile demo', expected main data"):
        pipeline.run_all(plan.plan(settings, files, now=NOW))
    # An earlier day of other data goes beside nothing: it takes the place of what was there.
    outcome = pipeline.run_all(plan.plan(settings, files, now=NOW, day=LAST - timedelta(days=1), switches_profile=True))
    assert outcome.run.is_current
    assert held(settings) == ("main", "files")
    pipeline.run_all(plan.plan(settings, files, now=NOW))
    with pytest.raises(SettingsError, match="--switch-profile"):
        pipeline.run_all(demo(settings))


def test_forms_switch_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HASHPIVOT_HOME", str(tmp_path))
    for wished in (False, True):
        runs = [
            *DailyParameters(switch_profile=wished).runs(),
            *DailyParameters(switch_profile=wished, catch_up=True).runs(),
            BackfillParameters(switch_profile=wished, since=LAST).plan(),
            RefreshParameters(switch_profile=wished).plan(),
            PublishParameters(switch_profile=wished).plan(),
        ]
        assert [run.switches_profile for run in runs] == [wished] * 5
