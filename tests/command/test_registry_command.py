"""The registry as people keep it: checked, extended and compared by real processes on real files."""

import json
import os
import shutil
import subprocess
from datetime import date
from pathlib import Path

import duckdb
import pytest

from flows.command.registry import check
from schemas.errors import BadInputError
from schemas.registry import REGISTRY
from tests.invocation import COMMAND, PYTHON, Hashpivot, clean_environment
from warehouse.registry import REFERENCE, load_registry
from warehouse.registry_edit import add_row
from warehouse.registry_totals import CHANGELOG, line

TODAY = date(2026, 11, 28)
PACKAGES = ("flows", "schemas", "transforms", "warehouse")
DEAL = {
    "deal_id": "RIOT-TEST-2026-11",
    "announced_on": "2026-11-03",
    "known_at": "2026-11-03",
    "kind": "contract",
    "lease_type": "nnn",
    "miner": "riot",
    "site": "corsicana",
    "state_or_country": "Texas",
    "tenant": "anthropic",
    "critical_it_mw": "100",
    "term_years": "15",
    "contract_value_usd": "2850000000",
    "status": "announced",
    "source_url": "https://www.sec.gov/Archives/edgar/data/1167419/000110465926093406/a.htm",
    "source_kind": "8-K",
    "confidence": "confirmed",
    "notes": "Invented for a test",
    "url_read": "read",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    copy = tmp_path / "reference"
    copy.mkdir()
    for table in REGISTRY:
        (copy / f"{table}.csv").write_bytes(REFERENCE.joinpath(f"{table}.csv").read_bytes())
    return copy


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the program that may be edited, its own git repository."""
    copy = tmp_path_factory.mktemp("tree")
    root = Path(__file__).parents[2]
    for package in PACKAGES:
        shutil.copytree(root / package, copy / package, ignore=shutil.ignore_patterns("__pycache__"))
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "as it is"]):
        names = {
            f"GIT_{who}_{what}": "test@example.com" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
        }
        subprocess.run(["git", *command], cwd=copy, check=True, env=os.environ | names)
    return copy


def in_tree(tree: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [PYTHON, "-m", "flows.command.cli", *arguments],
        cwd=tree,
        env=clean_environment(HOME=str(tree), PYTHONPATH=str(tree)),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def cells(**changes: str) -> list[str]:
    return [f"--set={name}={value}" for name, value in (DEAL | changes).items()]


def test_packaged_registry_is_sound_and_its_totals_are_in_the_changelog(hashpivot: Hashpivot) -> None:
    done = hashpivot("registry", "check", "--json")
    assert done.returncode == 0, done.stderr
    shown = {row["total"]: row["value"] for row in json.loads(done.stdout)}
    assert shown["deals"] == "51 rows, 6051 MW, 194.671 bn USD"
    assert shown["without unverified"].endswith("5869 MW, 188.646 bn USD")


def test_totals_that_move_need_a_line_in_the_changelog(folder: Path) -> None:
    add_row(folder, "conversion_deal", DEAL, TODAY)
    changelog = CHANGELOG.read_text(encoding="utf-8")
    with pytest.raises(BadInputError, match=r"newest line of registry totals: found .*51 rows") as caught:
        check(folder, changelog)
    assert "52 rows, 6151 MW, 197.521 bn USD" in str(caught.value)
    newer = f"## 2026.12\n\nOne more deal.\n\n{line(load_registry(folder))}\n\n{changelog}"
    assert check(folder, newer)["deals"] == "52 rows, 6151 MW, 197.521 bn USD"


def test_added_row_is_previewed_then_written_and_read_back(hashpivot: Hashpivot, folder: Path) -> None:
    done = hashpivot("registry", "add", "conversion_deal", "--folder", str(folder), "--yes", *cells())
    assert done.returncode == 0, done.stderr
    assert "52 rows, 6151 MW" in done.stdout
    assert "contracted_critical_it_mw on 2026-11-03" in done.stdout
    deals = load_registry(folder)["conversion_deal"]
    assert deals.row(deals["deal_id"].to_list().index(DEAL["deal_id"]), named=True)["critical_it_mw"] == 100


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({"critical_it_mw": "100 MW"}, "column critical_it_mw: found '100 MW'"),
        ({"gross_mw": "90"}, "critical_it_mw at most gross_mw"),
        ({"known_at": "2026-11-02"}, "announced_on not after known_at"),
        ({"confidence": "sure"}, "one of confirmed, reported, unverified"),
        ({"source_url": "", "url_read": ""}, "confidence unverified where source_url is empty"),
        ({"contract_value_usd": "2850"}, "USD from 1000000"),
        ({"deal_id": "HUT-BP1-2026-05"}, "when the next version is known"),
        ({"backstop_usd": "1000000000"}, "the sum of the guarantees and letters of credit"),
    ],
)
def test_row_that_is_wrong_is_reported_and_not_written(
    hashpivot: Hashpivot, folder: Path, changes: dict[str, str], shown: str
) -> None:
    before = (folder / "conversion_deal.csv").read_bytes()
    done = hashpivot("registry", "add", "conversion_deal", "--folder", str(folder), "--yes", *cells(**changes))
    assert done.returncode == 3
    assert "conversion_deal.csv line" in done.stderr
    assert shown in done.stderr
    assert (folder / "conversion_deal.csv").read_bytes() == before
    assert sorted(path.name for path in folder.iterdir()) == sorted(f"{table}.csv" for table in REGISTRY)


def test_typed_cell_that_cannot_be_read_is_prompted_for_again(tmp_path: Path, folder: Path) -> None:
    typed = [
        "HUT-FLUID-RB-2025-12",
        "2026-06-31",
        "2026-06-30",
        "2026-07-02",
        "many",
        "80",
        "stated",
        "",
        "unverified",
    ]
    typed += ["Invented for a test", "", "y"]
    done = subprocess.run(
        [COMMAND, "registry", "add", "deal_delivery", "--folder", str(folder)],
        input="\n".join(typed) + "\n",
        cwd=tmp_path,
        env=clean_environment(HOME=str(tmp_path)),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "found '2026-06-31', expected a date like 2026-02-05" in done.stderr
    assert "found 'many', expected a plain number without separators" in done.stderr
    assert load_registry(folder)["deal_delivery"].height == load_registry()["deal_delivery"].height + 1


def test_difference_to_a_folder_and_to_a_revision_is_shown(tree: Path, folder: Path) -> None:
    same = in_tree(tree, "registry", "diff")
    assert (same.returncode, same.stdout.strip()) == (0, "no difference")
    add_row(tree / "warehouse" / "reference", "conversion_deal", DEAL, TODAY)
    try:
        for against in ("HEAD", str(folder)):
            done = in_tree(tree, "registry", "diff", "--against", against, "--json")
            assert done.returncode == 0, done.stderr
            shown = {row["what"]: (row["before"], row["after"], row["change"]) for row in json.loads(done.stdout)}
            assert shown["rows of conversion_deal"] == ("55", "56", "1 new, 0 gone")
            assert shown["conversion_daily.contracted_value_usd on 2026-11-03"][2] == "+2,850,000,000"
    finally:
        subprocess.run(["git", "checkout", "-q", "."], cwd=tree, check=True)
    unknown = in_tree(tree, "registry", "diff", "--against", "no-such-revision")
    assert unknown.returncode == 2
    assert "no-such-revision" in unknown.stderr


def test_bad_row_stops_a_run_and_the_last_publication_stays(tree: Path) -> None:
    assert in_tree(tree, "daily", "--plain", "--day", "2026-11-20").returncode == 0
    published = tree / "data" / "published"
    version = (published / "current").readlink()
    path = tree / "warehouse" / "reference" / "deal_delivery.csv"
    sound = path.read_text(encoding="utf-8")
    try:
        path.write_text(sound.replace(",133,stated,", ",1330,stated,"), encoding="utf-8")
        done = in_tree(tree, "daily", "--plain", "--day", "2026-11-20")
    finally:
        path.write_text(sound, encoding="utf-8")
    assert done.returncode == 3
    assert "deal_delivery.csv line" in done.stderr
    assert "column critical_it_mw: found 1330.0, expected steps that add up to at most the 133 MW" in done.stderr
    assert (published / "current").readlink() == version
    with duckdb.connect(str(published / "hashpivot.duckdb"), read_only=True) as reader:
        assert reader.execute("select count(*) from deal_delivery where critical_it_mw = 133").fetchone() == (1,)
        newest = "select deal_count, contracted_critical_it_mw from conversion_daily order by day desc limit 1"
        assert reader.execute(newest).fetchone() == (42, 5869)
