"""A PostgreSQL server of its own on loopback: passwords by SCRAM, TLS with a certificate of its own, a small disk."""

import asyncio
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.invocation import REPOSITORY, eventually
from tests.scheduled.serving import free_port

USER = "postgres"
"""Of the machine, as which the server runs where the tests are root's, and of the server."""
PUBLISHER, READER = "hashpivot", "analyst"
PASSWORDS = {USER: "secret-of-admin", PUBLISHER: "secret-of-tests", READER: "secret-of-analyst"}
DATABASE = "tables"
HOST = "127.0.0.1"
SMALL_DISK_BYTES = 4_000_000
SET_UP = REPOSITORY / "deploy" / "postgresql.sql"
"""What makes the roles and the database, here as for users."""
CONFIGURATION = """
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
fsync = off
shared_buffers = 32MB
max_connections = 40
lc_messages = 'C'
ssl = on
ssl_cert_file = '{folder}/server.crt'
ssl_key_file = '{folder}/server.key'
"""


def program(name: str) -> Path:
    """A program of the server; Debian keeps them apart from those of users. Skips the test without it.

    `HASHPIVOT_TEST_POSTGRESQL` names the folder with the programs of another version; those it lacks are Debian's.
    """
    if (folder := os.environ.get("HASHPIVOT_TEST_POSTGRESQL")) and (chosen := Path(folder, name)).is_file():
        return chosen
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    if found:
        return found[-1]
    if (path := shutil.which(name)) is None:
        pytest.skip(f"NOT TESTED with PostgreSQL: no {name} here; `apt-get install postgresql`")
    return Path(path)


def as_other_user() -> list[str]:
    """What begins a command that root may not run: PostgreSQL does not run as root."""
    if os.getuid() != 0:
        return []
    try:
        pwd.getpwnam(USER)
    except KeyError:
        pytest.skip(f"NOT TESTED with PostgreSQL: it does not run as root, and there is no user {USER}")
    return ["setpriv", "--reuid", USER, "--regid", USER, "--clear-groups", "--"]


@dataclass
class PostgresServer:
    """Address and process of a server; `start` and `kill` it at will."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def certificate(self) -> Path:
        return self.folder / "server.crt"

    def address(self, schema: str | None = None, user: str = PUBLISHER, database: str = DATABASE) -> str:
        """Of a target here."""
        return f"postgresql://{user}@{HOST}:{self.port}/{database}{f'/{schema}' if schema else ''}"

    def environment(self, user: str = PUBLISHER) -> dict[str, str]:
        """The variables that let a process in, with a small scale of time."""
        return {"PGPASSWORD": PASSWORDS[user], "HASHPIVOT_WEB_TIME_SCALE": "0.02"}

    async def connect(self, user: str = USER, database: str = DATABASE) -> asyncpg.Connection:
        """A connection of a reader, or of who administers the server."""
        return await asyncpg.connect(
            host=HOST, port=self.port, user=user, password=PASSWORDS[user], database=database, ssl=False, timeout=30
        )

    def query(self, sql: str, *values: Any, user: str = USER, database: str = DATABASE) -> list[tuple[Any, ...]]:
        """The rows of a statement, or nothing of several statements that bind no value."""

        async def run() -> list[tuple[Any, ...]]:
            connection = await self.connect(user, database)
            try:
                if not values and ";" in sql:
                    await connection.execute(sql)
                    return []
                return [tuple(row) for row in await connection.fetch(sql, *values)]
            finally:
                await connection.close()

        return asyncio.run(run())

    def psql(self, *arguments: object, database: str = DATABASE) -> subprocess.CompletedProcess[str]:
        """Run PostgreSQL's own client as who administers the server."""
        passwords = {"PUBLISHER_PASSWORD": PASSWORDS[PUBLISHER], "READER_PASSWORD": PASSWORDS[READER]}
        there = {"PGHOST": HOST, "PGPORT": str(self.port), "PGUSER": USER, "PGDATABASE": database}
        return subprocess.run(
            [program("psql"), "--no-psqlrc", *map(str, arguments)],
            env=dict(os.environ) | there | passwords | {"PGPASSWORD": PASSWORDS[USER]},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def service_file(self, folder: Path, **users: str) -> dict[str, str]:
        """Write a service file with these users by service; the variable that names it."""
        path = folder / "services"
        facts = f"host={HOST}\nport={self.port}\ndbname={DATABASE}\n"
        services = [f"[{name}]\n{facts}user={user}\npassword={PASSWORDS[user]}\n" for name, user in users.items()]
        path.write_text("".join(services), encoding="utf-8")
        path.chmod(0o600)
        return {"PGSERVICEFILE": str(path)}

    def start(self) -> None:
        """Start the server and wait until it takes connections."""

        def accepts() -> bool:
            # After a kill it does not start while a process of the one before is left.
            if self.process is None or self.process.poll() is not None:
                self._spawn()
            with suppress(OSError, asyncpg.PostgresError):
                return self.query("select 1", database="postgres") == [(1,)]
            return False

        eventually(accepts, f"PostgreSQL does not start, see {self.folder / 'server.log'}")

    def _spawn(self) -> None:
        # In a name space of its own where that may be, so that the small disk goes with the process.
        disk = self.folder / "disk"
        mount = f'mount -t tmpfs -o size={SMALL_DISK_BYTES} disk "{disk}" && chown {USER} "{disk}"'
        apart = (
            ["unshare", "--mount", "sh", "-c", f'({mount}) 2>/dev/null; exec "$@"', "sh"] if os.getuid() == 0 else []
        )
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*apart, *as_other_user(), program("postgres"), "-D", self.folder / "data", "-p", str(self.port)],
                stdout=log,
                stderr=log,
                cwd="/",
            )

    def kill(self) -> None:
        """Kill every process of the server at once."""
        if self.process is not None:
            self.process.send_signal(signal.SIGSTOP)  # so that it starts no more of them
        children = [int(pid) for pid in self._children().split()]
        for pid in (self.process.pid, *children) if self.process else ():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.stop(signal.SIGKILL)

    def processor_seconds(self) -> float:
        """What all processes of the server have used that have ended."""
        assert self.process is not None
        fields = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")

    @property
    def has_small_disk(self) -> bool:
        """Whether the folder `disk` of the server is a small disk of its own."""
        assert self.process is not None
        mounts = Path(f"/proc/{self.process.pid}/mounts")
        return mounts.exists() and f" {self.folder / 'disk'} tmpfs " in mounts.read_text(encoding="utf-8")

    def wait_until_alone(self, user: str) -> None:
        """Wait until no connection of a user is left, as after a kill of its process."""
        left = "select count(*) from pg_stat_activity where usename = $1"
        eventually(lambda: self.query(left, user) == [(0,)], f"connections of {user} that do not end")

    def _children(self) -> str:
        assert self.process is not None
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return path.read_text(encoding="ascii") if path.exists() else ""

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """End the server, by default with all that its clients do."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                self.process.send_signal(how)
            self.process.wait(60)
            self.process = None


def make_certificate(folder: Path) -> None:
    """Write a certificate of the loopback address, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "server of tests")])
    certificate = (
        x509.CertificateBuilder(name, name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) - timedelta(days=2))
        .not_valid_after(datetime.now(UTC) + timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(HOST))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    pem = serialization.Encoding.PEM
    (folder / "server.crt").write_bytes(certificate.public_bytes(pem))
    (folder / "server.key").write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    (folder / "server.key").chmod(0o600)


@contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """A server with one database that `hashpivot` owns, until the end of the block."""
    initdb, other = program("initdb"), as_other_user()
    folder = Path(tempfile.mkdtemp(prefix="hashpivot-postgresql-"))
    server = PostgresServer(folder=folder, port=free_port())
    try:
        make_certificate(folder)
        (folder / "disk").mkdir()
        (folder / "password").write_text(PASSWORDS[USER], encoding="utf-8")
        if other:
            for path in (folder, *folder.iterdir()):
                shutil.chown(path, USER)
        arguments = ["-D", folder / "data", "-U", USER, "-A", "scram-sha-256", "-E", "UTF8", "--locale", "C"]
        subprocess.run(
            [*other, initdb, *arguments, "--pwfile", folder / "password", "--no-sync"],
            check=True,
            timeout=120,
            stdout=subprocess.DEVNULL,
            cwd="/",
        )
        with (folder / "data" / "postgresql.conf").open("a", encoding="utf-8") as file:
            file.write(CONFIGURATION.format(folder=folder))
        server.start()
        made = server.psql("--file", SET_UP, database="postgres")
        assert made.returncode == 0, made.stderr
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
