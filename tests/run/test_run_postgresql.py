"""Runs publish to PostgreSQL beside the home, by the real command; no password gets out of the environment."""

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from schemas.targets import target_addresses
from tests.invocation import COMMAND, clean_environment, eventually, invoke
from tests.postgres_server import PASSWORDS, PUBLISHER, READER, PostgresServer, postgres_server
from tests.run.target_homes import NEXT_DAY, lines_of_doctor, published
from warehouse.targets.postgresql_server import Place


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with postgres_server() as running:
        yield running


def shown(server: PostgresServer, schema: str, user: str = PUBLISHER) -> list[Any]:
    return [row[0] for row in server.query(f"select version from {schema}_meta.publication", user=user)]


def test_run_publishes_and_a_target_that_fails_is_caught_up(server: PostgresServer, home: Path) -> None:
    address, other = server.address(), server.address("other")
    server.query("create schema other_meta; create table other_meta.own (n integer);")
    settings = server.environment() | {"HASHPIVOT_TARGETS": f"{other},{address}"}
    done = invoke(home, "daily", "--plain", "--day", NEXT_DAY, "--json", **settings)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    (warning,) = [line for line in result["warnings"] if line.startswith("target ")]
    assert warning.startswith(f"target {other}: found a schema other_meta that hashpivot has not made")
    assert result["targets"][address]["version"] == result["version"] == published(home)
    assert shown(server, "hashpivot", READER) == [published(home)]
    text = "".join(path.read_text(errors="replace") for path in home.rglob("*") if path.is_file())
    assert not any(secret in text + done.stdout + done.stderr for secret in PASSWORDS.values())

    lines = lines_of_doctor(home, **settings)
    assert lines[f"target {address}"]["state"] == "ok"
    assert f"shows {published(home)} with days up to {NEXT_DAY}, as the home" in lines[f"target {address}"]["found"]
    assert "found a schema other_meta" in lines[f"target {other}"]["found"]
    server.query("drop schema other_meta cascade")
    done = invoke(home, "publish-only", "--target", other, **settings)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"target {other}: shows {published(home)}: ")
    assert "tables uploaded" in done.stdout
    assert shown(server, "other") == [published(home)]

    gone = lines_of_doctor(home, HASHPIVOT_TARGETS="postgresql://127.0.0.1:9/x")["target postgresql://127.0.0.1:9/x"]
    assert "found no response" in gone["found"]
    assert "check the address, the network" in gone["what to do"]


def test_publication_that_was_killed_leaves_nothing_and_is_caught_up(server: PostgresServer, home: Path) -> None:
    address = server.address("killed")
    environment = clean_environment(HOME=str(home), **server.environment())
    arguments = ["publish-only", "--target", address]
    process = subprocess.Popen([COMMAND, *arguments], cwd=home, env=environment, stdout=subprocess.DEVNULL)
    loading = "select 1 from pg_stat_activity where usename = $1 and query ilike 'copy%'"
    eventually(lambda: server.query(loading, PUBLISHER), "nothing is loaded")
    process.send_signal(signal.SIGKILL)
    assert process.wait(60) == -signal.SIGKILL
    server.wait_until_alone(PUBLISHER)
    assert server.query("select nspname from pg_namespace where nspname like 'killed%'") == []
    done = invoke(home, *arguments, **server.environment())
    assert done.returncode == 0, done.stderr
    assert shown(server, "killed") == [published(home)]


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("postgresql://h/d", {"host": "h", "database": "d"}),
        ("postgresql://h.example:5433/d/s", {"host": "h.example", "port": 5433, "database": "d", "schema": "s"}),
        ("postgresql://u@[::1]:5433/d", {"user": "u", "host": "::1", "port": 5433, "database": "d"}),
        ("postgresql://service=desk", {"service": "desk"}),
        ("postgresql://service=desk/s", {"service": "desk", "schema": "s"}),
    ],
)  # fmt: skip
def test_address_names_a_place(address: str, place: dict[str, Any]) -> None:
    assert target_addresses("--target", [address]) == (address,)
    assert Place.of(address) == Place(**{"schema": "hashpivot", **place, "address": address})
