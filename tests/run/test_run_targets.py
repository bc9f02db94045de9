"""Runs publish to targets beside the home; a target that fails undoes nothing and is caught up; by the real command."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.settings import read_profile, read_settings
from schemas.errors import SettingsError
from tests.invocation import COMMAND, clean_environment, eventually, invoke
from tests.object_storage import ObjectStorage, object_storage
from tests.run.target_homes import FIRST_DAY, NEXT_DAY, lines_of_doctor, published
from tests.warehouse.lake_reader import lake_of
from warehouse.targets.choose import OPENED_BY
from warehouse.targets.finished import finished_version

GONE = "http://127.0.0.1:9"


@pytest.fixture(scope="module")
def storage() -> Iterator[ObjectStorage]:
    with object_storage() as running:
        yield running


@pytest.fixture
def address(storage: ObjectStorage, tmp_path: Path) -> str:
    return f"{storage.make_bucket(f'run-{abs(hash(str(tmp_path)))}')}/tables"


def shown(storage: ObjectStorage, address: str) -> str | None:
    """The version that `latest.json` leads to, once all of its files are there as its manifest states them."""
    if "latest.json" not in storage.paths(address):
        return None
    latest = json.loads(storage.read(address, "latest.json"))
    stated = json.loads(storage.read(address, f"{latest['folder']}/manifest.json"))
    expected = {f"{latest['folder']}/{file['path']}" for file in stated["files"]}
    assert expected <= set(storage.paths(address))
    assert stated["version"] == latest["version"]
    return str(latest["version"])


def test_run_publishes_to_every_target_and_one_that_fails_is_caught_up_by_the_next(
    storage: ObjectStorage, home: Path, address: str
) -> None:
    other, missing = f"{address}-too", "s3://no-such-bucket"
    settings = storage.environment() | {"HASHPIVOT_TARGETS": f"{missing},{address}, {other}/"}
    done = invoke(home, "daily", "--plain", "--day", NEXT_DAY, "--json", **settings)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    (warning,) = [line for line in result["warnings"] if line.startswith("target ")]
    assert warning.startswith(f"target {missing}: found no bucket 'no-such-bucket'")
    assert result["targets"][missing]["error"] == warning
    assert [facts["version"] for facts in result["targets"].values()] == [None, published(home), published(home)]
    assert shown(storage, address) == shown(storage, other) == published(home) == result["version"]
    assert f"target {address}: shows {published(home)}" in done.stderr

    storage.make_bucket("no-such-bucket")
    done = invoke(home, "daily", "--plain", "--day", NEXT_DAY, **settings)
    assert done.returncode == 0, done.stderr
    assert f"Published to {missing}: " in done.stdout
    assert shown(storage, missing) == shown(storage, address) == published(home) != result["version"]


def test_view_of_a_past_day_goes_to_no_target(storage: ObjectStorage, home: Path, address: str) -> None:
    settings = storage.environment() | {"HASHPIVOT_TARGETS": address}
    done = invoke(home, "daily", "--plain", "--day", "2026-11-01", "--json", **settings)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["targets"] == {}
    assert storage.paths(address) == []


def test_publish_only_brings_the_current_version_without_a_run(
    storage: ObjectStorage, home: Path, address: str
) -> None:
    before = published(home)
    done = invoke(home, "publish-only", "--target", address, **storage.environment())
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"target {address}: shows {before}: ")
    assert shown(storage, address) == published(home) == before
    done = invoke(home, "publish-only", "--json", HASHPIVOT_TARGETS=address, **storage.environment())
    assert json.loads(done.stdout)[address] == {
        "version": before, "uploaded_count": 0, "uploaded_bytes": 0, "reused_count": 0, "error": None
    }  # fmt: skip


def test_publish_only_names_what_failed_after_all_were_tried(storage: ObjectStorage, home: Path, address: str) -> None:
    settings = storage.environment()
    done = invoke(home, "publish-only", "--target", "s3://nowhere", "--target", address, **settings)
    assert (done.returncode, shown(storage, address)) == (7, published(home))
    assert done.stderr.splitlines()[-1].startswith("error: target s3://nowhere: found no bucket 'nowhere'")
    done = invoke(home, "publish-only", "--target", address, **settings | {"AWS_ENDPOINT_URL": GONE})
    assert done.returncode == 75
    assert f"error: target {address}: found no response, expected" in done.stderr
    assert "secret-of-tests" not in done.stderr + done.stdout


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["publish-only"], "HASHPIVOT_TARGETS: found None, expected an address such as s3://BUCKET/PREFIX"),
        (["publish-only", "--target", "s3://b"], "--target: found 's3://b', expected addresses such as"),
        (["publish-only", "--home", "empty", "--target", "s3://bucket"], "found no version, expected one; run"),
    ],
)
def test_publish_only_that_cannot_work_is_one_line(home: Path, arguments: list[str], line: str) -> None:
    done = invoke(home, *arguments)
    assert done.returncode in (2, 7)
    assert line in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_upload_that_was_killed_is_used_by_the_next_one(storage: ObjectStorage, home: Path, address: str) -> None:
    arguments, settings = ["publish-only", "--target", address, "--json"], storage.environment()
    kill_while_uploading(storage, home, arguments)
    left = storage.paths(address)
    assert left
    assert shown(storage, address) is None
    done = invoke(home, *arguments, **settings)
    assert done.returncode == 0, done.stderr
    assert shown(storage, address) == published(home)
    facts = json.loads(done.stdout)[address]
    assert facts["reused_count"] == len(left)
    file_count = len(finished_version(home / "data" / "published").files)
    assert facts["uploaded_count"] + facts["reused_count"] == file_count + 1


def test_upload_that_was_killed_is_removed_by_the_next_version(
    storage: ObjectStorage, home: Path, address: str
) -> None:
    settings = storage.environment() | {"HASHPIVOT_TARGETS": address}
    kill_while_uploading(storage, home, ["publish-only", "--target", address])
    (left,) = {path.split("/")[1] for path in storage.paths(address)}
    done = invoke(home, "daily", "--plain", "--day", NEXT_DAY, **settings)
    assert done.returncode == 0, done.stderr
    assert shown(storage, address) == published(home)
    now = {path.split("/")[1] for path in storage.paths(address) if path.startswith("versions/")}
    assert len(now) == 1
    assert left not in now


def kill_while_uploading(storage: ObjectStorage, home: Path, arguments: list[str]) -> None:
    """Start the command and kill it after some of its writes."""
    environment = clean_environment(HOME=str(home), **storage.environment())
    before = sum(each.method == "PUT" for each in storage.received)
    with storage.with_faults(pause_seconds=0.05):
        process = subprocess.Popen([COMMAND, *arguments], cwd=home, env=environment, stdout=subprocess.DEVNULL)
        eventually(lambda: sum(each.method == "PUT" for each in list(storage.received)) >= before + 20, "no upload")
        process.send_signal(signal.SIGKILL)
        assert process.wait(60) == -signal.SIGKILL
        # What it had sent is stored all the same.
        eventually(lambda: storage.responded_count == len(storage.received), "requests that do not end")


def test_doctor_states_of_each_target_which_version_it_has(storage: ObjectStorage, home: Path, address: str) -> None:
    other, missing = f"{address}-too", "s3://not-there"
    assert invoke(home, "publish-only", "--target", address, **storage.environment()).returncode == 0
    settings = storage.environment() | {"HASHPIVOT_TARGETS": f"{address},{other},{missing}"}
    lines = lines_of_doctor(home, **settings)
    assert lines[f"target {address}"]["state"] == "ok"
    assert f"shows {published(home)} with days up to {FIRST_DAY}, as the home" in lines[f"target {address}"]["found"]
    assert lines[f"target {other}"]["state"] == "PROBLEM"
    assert "shows no version yet; behind the home" in lines[f"target {other}"]["found"]
    assert "publish-only" in lines[f"target {other}"]["what to do"]
    assert "found no bucket 'not-there'" in lines[f"target {missing}"]["found"]
    # The next version of the home leaves the target behind.
    assert invoke(home, "daily", "--plain", "--day", NEXT_DAY).returncode == 0
    line = lines_of_doctor(home, **settings)[f"target {address}"]
    assert (line["state"], f"behind the home, which shows {published(home)}" in line["found"]) == ("PROBLEM", True)
    gone = lines_of_doctor(home, **settings | {"AWS_ENDPOINT_URL": GONE})[f"target {address}"]
    assert "found no response" in gone["found"]
    assert "AWS_ENDPOINT_URL" in gone["what to do"]


def with_extras(home: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command in the environment of the tests, which has the extensions that a DuckLake needs."""
    return subprocess.run(
        [Path(sys.executable).parent / "hashpivot", *arguments],
        cwd=home,
        env=clean_environment(HOME=str(home), **environment),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_lake_has_each_version_as_a_snapshot_and_a_missing_one_is_caught_up(home: Path, tmp_path: Path) -> None:
    first = published(home)
    (tmp_path / "lake").mkdir()
    lake, later = (f"ducklake:sqlite:{tmp_path}/{name}/catalog.sqlite" for name in ("lake", "later"))
    done = with_extras(home, "publish-only", "--target", lake)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"target {lake}: shows {first}: ")
    targets = {"HASHPIVOT_TARGETS": f"{lake},{later}"}
    done = with_extras(home, "daily", "--plain", "--day", NEXT_DAY, "--json", **targets)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["targets"][lake]["version"] == published(home) != first
    assert f"target {later}: found no folder {tmp_path}/later, expected one" in result["targets"][later]["error"]
    assert result["targets"][later]["error"] in result["warnings"]
    (tmp_path / "later").mkdir()
    done = with_extras(home, "publish-only", "--json", **targets)
    assert [facts["version"] for facts in json.loads(done.stdout).values()] == [published(home)] * 2
    lines = {line["what"]: line for line in json.loads(with_extras(home, "doctor", "--json", **targets).stdout)}
    for address in (lake, later):
        assert f"shows {published(home)} with days up to {NEXT_DAY}, as the home" in lines[f"target {address}"]["found"]
    with lake_of(lake) as reader:
        found = reader.execute("select commit_message from lake.snapshots() where author = 'hashpivot'").fetchall()
        days = [
            reader.execute(f"select max(day)::varchar from capitulation_daily at (version => {n})").fetchall()
            for n in (1, 2)
        ]
    assert [message.split(":")[0] for (message,) in found] == [first, published(home)]
    assert days == [[(FIRST_DAY,)], [(NEXT_DAY,)]]


def test_lake_without_its_extension_is_one_line_that_names_the_package(home: Path, tmp_path: Path) -> None:
    address = f"ducklake:sqlite:{tmp_path}/catalog.sqlite"
    done = invoke(home, "publish-only", "--target", address)
    assert done.returncode == 7
    assert f"error: target {address}: extension ducklake of DuckDB: found none for version" in done.stderr
    assert "install the package duckdb-extension-ducklake==" in done.stderr


OWN = """title = "Own"
sources = ["simulated"]
targets = {targets}
[precedence]
blocks = ["simulated"]
price = ["simulated"]
chain = ["simulated"]
miner_flows = ["simulated"]
exchange_flows = ["simulated"]
"""


def own_profile(folder: Path, targets: str) -> str:
    path = folder / "own.toml"
    path.write_text(OWN.format(targets=targets), encoding="utf-8")
    return str(path)


def test_profile_names_targets_and_the_environment_stands_over_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    profile = read_profile(own_profile(tmp_path, '["s3://bucket-of-profile/x/", "s3://second"]'))
    monkeypatch.delenv("HASHPIVOT_TARGETS", raising=False)
    assert read_settings().targets_of(profile) == ("s3://bucket-of-profile/x", "s3://second")
    monkeypatch.setenv("HASHPIVOT_TARGETS", "s3://of-environment")
    assert read_settings().targets_of(profile) == ("s3://of-environment",)
    monkeypatch.setenv("HASHPIVOT_TARGETS", "")
    assert read_settings().targets_of(profile) == ()
    assert read_profile("demo").targets == ()


@pytest.mark.parametrize(
    "address",
    [
        "ducklake:/srv/a lake/catalog.db",
        "ducklake:sqlite:/srv/lake/catalog.sqlite",
        "ducklake:sqlite:/srv/lake/catalog.sqlite?data=/mnt/files",
        "ducklake:sqlite:/srv/lake/catalog.sqlite?data=s3://bucket/team/lake-1",
        "ducklake:/srv/lake/catalog.db?data=s3://bucket/lake",
        "ducklake:postgres:dbname=lake host=db.example.org port=5433 user=me?data=/mnt/files",
        "ducklake:postgres:dbname=lake host=db user=me?data=s3://bucket/lake",
    ],
)
def test_addresses_of_lakes_are_taken(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HASHPIVOT_TARGETS", f"{address}, s3://bucket")
    assert read_settings().targets_of(read_profile("demo")) == (address, "s3://bucket")


@pytest.mark.parametrize(
    ("listed", "found"),
    [
        ("bucket", "'bucket'"),
        ("ftp://bucket/x", "'ftp://bucket/x'"),
        ("s3://Bucket", "'s3://Bucket'"),
        ("s3://bucket//x", "'s3://bucket//x'"),
        ("s3://bucket/../x", "'s3://bucket/../x'"),
        ("s3://AKIA:SECRET@bucket/x", "'s3://***@bucket/x'"),
        ("s3://bucket/x?secret=SECRET", "'s3://bucket/x?***'"),
        ("postgresql://u:SECRET@h/d", "'postgresql://***@h/d'"),
        ("postgresql://u@h/d?password=SECRET", "'postgresql://***@h/d?***'"),
        ("postgresql://h", "'postgresql://h'"),
        ("postgresql://h/d/Upper", "'postgresql://h/d/Upper'"),
        ("postgresql:///d", "'postgresql:///d'"),
        ("postgresql://service=/s", "'postgresql://service=/s'"),
        ("s3://bucket/x,s3://bucket/x/", "'s3://bucket/x', expected each address once"),
        ("ducklake:sqlite:catalog.sqlite", "'ducklake:sqlite:catalog.sqlite'"),
        ("ducklake:/srv/../catalog.db", "'ducklake:/srv/../catalog.db'"),
        ("ducklake:/srv/catalog.db?data=s3://bucket", "'ducklake:/srv/catalog.db?***'"),
        ("ducklake:/srv/catalog.db?data=s3://bucket/a*b", "'ducklake:/srv/catalog.db?***'"),
        ("ducklake:/srv/catalog.db?data=s3://me:SECRET@bucket/a", "'***@bucket/a'"),
        ("ducklake:postgres:password=SECRET dbname=x?data=s3://b/x", "'ducklake:postgres:password=*** dbname=x?***'"),
        ("ducklake:postgres:dbname=lake host=db", "'ducklake:postgres:dbname=lake host=db'"),
        ("ducklake:postgres:password=SECRET dbname=x?data=/srv", "'ducklake:postgres:password=*** dbname=x?***'"),
        ("ducklake:postgres://me:SECRET@db/lake?data=/srv", "'ducklake:postgres://***@db/lake?***'"),
    ],
)
def test_address_that_cannot_be_used_is_refused_when_it_is_read(
    listed: str, found: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HASHPIVOT_TARGETS", listed)
    with pytest.raises(SettingsError) as of_environment:
        read_settings()
    monkeypatch.delenv("HASHPIVOT_TARGETS")
    with pytest.raises(SettingsError) as of_profile:
        read_profile(own_profile(tmp_path, json.dumps(listed.split(","))))
    for caught, where in ((of_environment, "HASHPIVOT_TARGETS: found "), (of_profile, "own.toml, targets: found ")):
        line = str(caught.value)
        assert where + found in line
        assert "SECRET" not in line
        assert "\n" not in line


def test_every_scheme_has_a_module() -> None:
    from schemas.targets import SCHEMES

    assert set(OPENED_BY) == set(SCHEMES)
