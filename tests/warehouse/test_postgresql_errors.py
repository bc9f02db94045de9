"""What is wrong with a PostgreSQL server, a login or TLS is one line that names it; a kill leaves a whole version."""

import random
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from schemas.errors import HashpivotError, TransientError, WarehouseError
from tests.invocation import PYTHON, REPOSITORY
from tests.postgres_server import DATABASE, HOST, PASSWORDS, PUBLISHER, USER, PostgresServer, postgres_server
from tests.warehouse.postgresql_versions import version, whole_version
from warehouse.targets.finished import FinishedVersion, Shown
from warehouse.targets.postgresql import PostgresTarget

TIME_SCALE = 0.02
VARIABLES = ("PGPASSWORD", "PGPASSFILE", "PGSERVICEFILE", "PGSSLMODE", "PGSSLROOTCERT")


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with postgres_server() as running:
        yield running


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> FinishedVersion:
    return version(tmp_path_factory.mktemp("home"), 1)


@pytest.fixture
def schema(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of schemas that are not there yet; the environment holds nothing but the password of who publishes."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PGPASSWORD", PASSWORDS[PUBLISHER])
    return f"e{abs(hash(request.node.nodeid)):x}"


def failure(address: str, found: FinishedVersion) -> HashpivotError:
    """What a publication to the address raises, once it is one line without a secret."""
    with pytest.raises(HashpivotError) as caught:
        PostgresTarget(address=address, time_scale=TIME_SCALE).publish(found)
    line = str(caught.value)
    assert line.startswith(f"target {address}: found ")
    assert ", expected " in line
    assert "; " in line
    assert "\n" not in line
    assert not any(secret in line for secret in (*PASSWORDS.values(), "secret")), line
    return caught.value


def terminal(address: str, found: FinishedVersion) -> str:
    error = failure(address, found)
    assert isinstance(error, WarehouseError)
    return str(error)


def transient(address: str, found: FinishedVersion) -> str:
    error = failure(address, found)
    assert isinstance(error, TransientError)
    return str(error)


def is_published(address: str, found: FinishedVersion) -> bool:
    target = PostgresTarget(address=address, time_scale=TIME_SCALE)
    target.publish(found)
    return target.shown() == Shown(version=found.version, day="2024-06-01")


def test_server_that_is_gone_may_come_back(schema: str, found: FinishedVersion) -> None:
    assert "found no response, expected a response" in transient(f"postgresql://{HOST}:9/x/{schema}", found)
    assert "found no response" in transient(f"postgresql://no-such-host.invalid/x/{schema}", found)


def test_server_that_does_not_respond_has_a_time_limit(schema: str, found: FinishedVersion) -> None:
    with socket.create_server((HOST, 0)) as silent:
        address = f"postgresql://{HOST}:{silent.getsockname()[1]}/x/{schema}"
        began = time.monotonic()
        assert "found no response in time" in transient(address, found)
        assert time.monotonic() - began < 30


def test_wrong_password_and_no_password_are_named(
    server: PostgresServer, schema: str, found: FinishedVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPASSWORD", "wrong-secret")
    line = terminal(server.address(schema), found)
    assert "found the password rejected, expected that of the user; set PGPASSWORD" in line
    monkeypatch.delenv("PGPASSWORD")
    assert "found the password rejected" in terminal(server.address(schema), found)


def test_password_comes_from_a_file_of_passwords(
    server: PostgresServer, schema: str, found: FinishedVersion, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("PGPASSWORD")
    passwords = tmp_path / "pgpass"
    passwords.write_text(f"{HOST}:{server.port}:*:{PUBLISHER}:{PASSWORDS[PUBLISHER]}\n", encoding="utf-8")
    passwords.chmod(0o600)
    monkeypatch.setenv("PGPASSFILE", str(passwords))
    assert is_published(server.address(schema), found)


def test_service_file_holds_all_that_an_address_leaves_out(
    server: PostgresServer, schema: str, found: FinishedVersion, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("PGPASSWORD")
    address = f"postgresql://service=desk/{schema}"
    monkeypatch.setenv("PGSERVICEFILE", str(tmp_path / "services"))
    assert "found 'No such file or directory' in" in terminal(address, found)
    services = tmp_path / "services"
    services.write_text("[other]\nhost=nowhere\n", encoding="utf-8")
    assert "found no service [desk] in" in terminal(address, found)
    services.write_text("secret without a section\n", encoding="utf-8")
    assert "found 'MissingSectionHeaderError' in" in terminal(address, found)
    server.query("create role clerk login password '100%secret &=?'; grant create on database tables to clerk;")
    facts = {"host": HOST, "port": server.port, "dbname": DATABASE, "user": "clerk", "password": "100%secret &=?"}
    lines = [f"{name}={value}" for name, value in facts.items()]
    services.write_text("\n".join(["[desk]", *lines, ""]), encoding="utf-8")
    assert is_published(address, found)
    assert whole_version(server, schema) == "v1"


def test_user_database_and_rights_are_named(server: PostgresServer, schema: str, found: FinishedVersion) -> None:
    assert "found the password rejected" in terminal(server.address(schema, user="nobody"), found)
    assert "found no such database, expected one" in terminal(server.address(schema, database="nowhere"), found)
    line = terminal(server.address(schema, database="postgres"), found)
    assert "found a right missing (42501), expected a user who may create schemas in the database" in line


def test_login_that_the_server_does_not_let_in_is_named(
    server: PostgresServer, schema: str, found: FinishedVersion
) -> None:
    server.query(f"alter role {PUBLISHER} nologin")
    try:
        assert "found the login rejected, expected a user whom the server lets in" in terminal(
            server.address(schema), found
        )
    finally:
        server.query(f"alter role {PUBLISHER} login")


def test_server_that_only_reads_is_named(server: PostgresServer, schema: str, found: FinishedVersion) -> None:
    server.query(f"alter role {PUBLISHER} set default_transaction_read_only = on")
    try:
        assert "found a server that only reads, expected one that may be written to" in terminal(
            server.address(schema), found
        )
    finally:
        server.query(f"alter role {PUBLISHER} reset default_transaction_read_only")


def test_full_disk_of_the_server_is_named_and_shows_the_version_before(
    server: PostgresServer, schema: str, found: FinishedVersion, tmp_path: Path
) -> None:
    assert is_published(server.address(schema), found)
    try:
        server.query(f"create tablespace small location '{server.folder / 'disk'}'")
        server.query(f"grant create on tablespace small to {PUBLISHER}")
        if not server.has_small_disk:
            pytest.skip("NOT TESTED with a full disk: this machine does not let a test mount a small one")
        server.query(f"alter role {PUBLISHER} set default_tablespace = small")
        large = version(tmp_path, 2, years={2022: 40, 2023: 90_000, 2024: 60})
        assert "found the disk of the server full, expected room for one version more" in terminal(
            server.address(schema), large
        )
        assert whole_version(server, schema) == "v1"
    finally:
        server.query(f"alter role {PUBLISHER} reset default_tablespace")
        server.wait_until_alone(PUBLISHER)
        server.query("drop tablespace small")
    assert is_published(server.address(schema), large)


@pytest.mark.parametrize("mode", ["disable", "prefer", "require", "verify-ca", "verify-full"])
def test_tls_is_as_the_environment_has_it(
    mode: str, server: PostgresServer, schema: str, found: FinishedVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGSSLMODE", mode)
    monkeypatch.setenv("PGSSLROOTCERT", str(server.certificate))
    encrypted = "select ssl from pg_stat_ssl join pg_stat_activity using (pid) where usename = $1"
    seen: list[Any] = []
    with watched(lambda: seen.extend(server.query(encrypted, PUBLISHER))):
        assert is_published(server.address(schema), found)
    assert {row[0] for row in seen} == {mode != "disable"}


@contextmanager
def watched(look: Any) -> Iterator[None]:
    """Look all the time meanwhile."""
    over = threading.Event()

    def looking() -> None:
        while not over.is_set():
            look()

    thread = threading.Thread(target=looking)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(60)


def test_certificate_that_nobody_vouches_for_is_refused(
    server: PostgresServer, schema: str, found: FinishedVersion, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with postgres_certificate(tmp_path) as other:
        monkeypatch.setenv("PGSSLROOTCERT", str(other))
        for mode in ("verify-ca", "verify-full"):
            monkeypatch.setenv("PGSSLMODE", mode)
            assert "found a certificate or TLS that cannot be trusted" in terminal(server.address(schema), found)
    monkeypatch.setenv("PGSSLROOTCERT", str(server.certificate))
    by_name = server.address(schema).replace(HOST, "localhost")
    # The certificate is of the number, and of no name.
    assert "found a certificate or TLS that cannot be trusted" in terminal(by_name, found)
    monkeypatch.setenv("PGSSLMODE", "sometimes")
    assert "found variables PG* that cannot be used" in terminal(server.address(schema), found)
    monkeypatch.setenv("PGSSLMODE", "disable")
    monkeypatch.setenv("PGPORT", "PORT")
    line = terminal(f"postgresql://{HOST}/{DATABASE}/{schema}", found)
    assert "found ValueError, expected a connection to be possible; look at the variables PG*" in line
    monkeypatch.setenv("PGSSLMODE", "verify-full")
    monkeypatch.setenv("PGSSLROOTCERT", str(tmp_path / "none"))
    assert "found no file of PGSSLROOTCERT" in terminal(server.address(schema), found)


@contextmanager
def postgres_certificate(folder: Path) -> Iterator[Path]:
    """A certificate of somebody else."""
    from tests.postgres_server import make_certificate

    make_certificate(folder)
    yield folder / "server.crt"


@contextmanager
def old_server(version: str, *, with_tls: bool = False) -> Iterator[int]:
    """A server that lets everybody in and states a version; it responds to nothing else. Yields its port."""

    def message(kind: bytes, content: bytes) -> bytes:
        return kind + struct.pack("!i", len(content) + 4) + content

    def serve(listening: socket.socket) -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            with connection:
                length, code = struct.unpack("!ii", connection.recv(8))
                if code == 80877103:  # wants TLS
                    connection.sendall(b"N")
                    header = connection.recv(8)
                    if len(header) < 8:
                        continue
                    length, _ = struct.unpack("!ii", header)
                connection.recv(length - 8)
                connection.sendall(message(b"R", struct.pack("!i", 0)))
                connection.sendall(message(b"S", b"server_version\0" + version.encode() + b"\0"))
                connection.sendall(message(b"S", b"client_encoding\0UTF8\0"))
                connection.sendall(message(b"Z", b"I"))
                connection.recv(1024)

    with socket.create_server((HOST, 0)) as listening:
        thread = threading.Thread(target=serve, args=[listening], daemon=True)
        thread.start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)
    thread.join(30)


def test_server_that_is_too_old_is_named(schema: str, found: FinishedVersion) -> None:
    with old_server("11.22") as port:
        line = terminal(f"postgresql://{USER}@{HOST}:{port}/x/{schema}", found)
    assert "found PostgreSQL 11, expected 12 or later; upgrade the server" in line


def test_server_without_tls_is_named_where_it_is_required(
    schema: str, found: FinishedVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGSSLMODE", "require")
    with old_server("16.1") as port:
        line = terminal(f"postgresql://{USER}@{HOST}:{port}/x/{schema}", found)
    assert "found a server without TLS, expected it as PGSSLMODE requires" in line


PUBLISH_UNTIL_KILLED = """
import os, sys
from pathlib import Path
from warehouse.targets.finished import finished_version
from warehouse.targets.postgresql import PostgresTarget

versions = [finished_version(Path(home)) for home in sys.argv[2:]]
print("ready", flush=True)
for line in sys.stdin:  # imports are slow, so they happen once and each publisher is a fork
    publisher = os.fork()
    if not publisher:
        try:
            PostgresTarget(address=sys.argv[1], time_scale=0.02).publish(versions[int(line)])
        except Exception:
            os._exit(1)
        os._exit(0)
    print(publisher, flush=True)
    print(os.waitpid(publisher, 0)[1], flush=True)
"""


def kill_while_publishing(server: PostgresServer, schema: str, folder: Path, count: int) -> tuple[int, int]:
    """Kill publisher and server in turn at random moments; how often the new version was there, and how often not."""
    homes = [folder / str(number) for number in range(3)]
    versions = [version(home, number) for number, home in enumerate(homes)]
    address, chance = server.address(schema), random.Random(20261130)
    assert is_published(address, versions[0])
    shown, finished, longest = 0, 0, 0.3
    program = [PYTHON, "-c", PUBLISH_UNTIL_KILLED, address, *map(str, homes)]
    with subprocess.Popen(program, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdin is not None
        assert starter.stdout is not None
        assert starter.stdout.readline() == "ready\n"
        for kill in range(count):
            wanted = (shown + 1) % len(versions)
            starter.stdin.write(f"{wanted}\n")
            starter.stdin.flush()
            publisher = int(starter.stdout.readline())
            time.sleep(chance.uniform(0, longest))
            if kill % 2:
                server.kill()
                server.start()
            else:
                subprocess.run(["kill", "-KILL", str(publisher)], check=False, capture_output=True)
            starter.stdout.readline()
            server.wait_until_alone(PUBLISHER)
            found = whole_version(server, schema)
            assert found in (f"v{shown}", f"v{wanted}"), f"kill {kill}"
            # So that about as many come before the end as after it, however fast the machine is.
            longest *= 0.8 if found == f"v{wanted}" else 1.25
            finished += found == f"v{wanted}"
            shown = int(found.removeprefix("v"))
        starter.stdin.close()
        starter.wait(60)
    assert is_published(address, versions[(shown + 1) % len(versions)])
    return finished, count - finished


def test_kill_of_either_side_leaves_a_whole_version(server: PostgresServer, schema: str, tmp_path: Path) -> None:
    kill_while_publishing(server, schema, tmp_path, 6)


@pytest.mark.long
def test_fifty_kills_of_either_side_leave_a_whole_version(server: PostgresServer, schema: str, tmp_path: Path) -> None:
    finished, undone = kill_while_publishing(server, schema, tmp_path, 50)
    assert min(finished, undone) >= 5
