"""A connection to one PostgreSQL server, with limits; each failure becomes one line.

Password, TLS and what an address leaves out are those of the environment of the process, as the tools of PostgreSQL
have it (`PGPASSWORD`, `PGPASSFILE`, `PGSSLMODE`, `PGSSLROOTCERT`, a service file); they stay in the library.
"""

import configparser
import os
import re
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import asyncpg

from schemas.errors import HashpivotError, TargetUnreachableError, WarehouseError
from warehouse.statements import one_line, statement

OLDEST_VERSION: Final = 12
CONNECT_TIMEOUT_SECONDS: Final = 10.0
LEAST_TIMEOUT_SECONDS: Final = 2.0
STATEMENT_TIMEOUT_SECONDS: Final = 600.0
COPY_TIMEOUT_SECONDS: Final = 3600.0
"""Of one table."""
DEFAULT_SCHEMA: Final = "hashpivot"
SERVICE_FILE: Final = ".pg_service.conf"

_UNREACHABLE: Final = (
    asyncpg.CannotConnectNowError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.TooManyConnectionsError,
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
    asyncpg.LockNotAvailableError,
)
"""What may pass by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What an address names; what it leaves out is None."""

    address: str
    schema: str
    host: str | None = None
    port: int | None = None
    user: str | None = None
    database: str | None = None
    service: str | None = None

    @classmethod
    def of(cls, address: str) -> "Place":
        """The parts of an address that `schemas.targets` has accepted."""
        rest = address.removeprefix("postgresql://")
        where, _, below = rest.partition("/")
        if where.startswith("service="):
            return cls(address=address, service=where.removeprefix("service="), schema=below or DEFAULT_SCHEMA)
        user, _, server = where.rpartition("@")
        host, port = re.fullmatch(r"\[?(.*?)\]?(?::(\d+))?", server).groups()  # type: ignore[union-attr]
        database, _, schema = below.partition("/")
        return cls(
            address=address,
            user=user or None,
            host=host,
            port=int(port) if port else None,
            database=database,
            schema=schema or DEFAULT_SCHEMA,
        )


@asynccontextmanager
async def connected(place: Place, time_scale: float = 1) -> AsyncIterator[asyncpg.Connection]:
    """A connection with limits, in whose block every failure is one line. `time_scale` shrinks time-outs."""

    def limit(seconds: float) -> float:
        return max(seconds * time_scale, min(seconds, LEAST_TIMEOUT_SECONDS))

    with one_line_errors(place):
        try:
            connection = await asyncpg.connect(
                _dsn_of_service(place) if place.service else None,
                host=place.host,
                port=place.port,
                user=place.user,
                database=place.database,
                timeout=limit(CONNECT_TIMEOUT_SECONDS),
                command_timeout=limit(STATEMENT_TIMEOUT_SECONDS),
                # Servers between us and PostgreSQL that share connections forget prepared statements.
                statement_cache_size=0,
            )
        except ValueError as error:  # such as a port that is none, in the environment
            raise explained(error, place) from error
        try:
            require_version(place, connection.get_server_version().major)
            await connection.execute(statement("postgresql_session"))
            yield connection
        except BaseException:
            # What was not committed goes at once.
            connection.terminate()
            raise
        with suppress(Exception):  # it has done its work
            await connection.close(timeout=LEAST_TIMEOUT_SECONDS)


def require_version(place: Place, major: int) -> None:
    """Raise for a server that is too old."""
    if major < OLDEST_VERSION:
        raise WarehouseError(
            f"target {place.address}: found PostgreSQL {major}, expected {OLDEST_VERSION} or later; upgrade the server"
        )


def _dsn_of_service(place: Place) -> str:
    """What the service file states of a service, in the form that the library takes.

    The library reads such files itself, but takes a % in a password for something else, and connects to whatever is the
    default where there is no such service.
    """
    path = Path(os.environ.get("PGSERVICEFILE") or Path.home() / SERVICE_FILE)
    services = configparser.ConfigParser(interpolation=None)
    try:
        services.read_string(path.read_text(encoding="utf-8"), str(path))
        stated = services[str(place.service)]
    except KeyError:
        raise WarehouseError(
            f"target {place.address}: found no service [{place.service}] in {path}, expected one; add it, or correct "
            "the address or PGSERVICEFILE"
        ) from None
    except (OSError, UnicodeDecodeError, configparser.Error) as error:
        # What a parser says of a line may hold the line.
        found = error.strerror if isinstance(error, OSError) else type(error).__name__
        raise WarehouseError(
            f"target {place.address}: found {found!r} in {path}, expected a service file; correct it or PGSERVICEFILE"
        ) from None
    facts = {name: "".join(f"%{byte:02X}" for byte in value.encode()) for name, value in stated.items() if value}
    return "postgresql://?" + "&".join(f"{name}={value}" for name, value in facts.items())


@contextmanager
def one_line_errors(place: Place) -> Iterator[None]:
    """Raise what the library raises as one line."""
    try:
        yield
    except HashpivotError:
        raise
    except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError) as error:
        raise explained(error, place) from error


def explained(error: Exception, place: Place) -> HashpivotError:
    """What an error of the library means, in our words."""
    where, address = f"target {place.address}", place.address
    for kind, found, expected, remedy in _MEANINGS:
        if isinstance(error, kind):
            return WarehouseError(f"{where}: found {found}, expected {expected}; {remedy}")
    if isinstance(error, ssl.SSLError):
        return WarehouseError(
            f"{where}: found a certificate or TLS that cannot be trusted ({error.reason or 'TLS'}), expected what "
            "PGSSLMODE requires; correct PGSSLMODE or PGSSLROOTCERT, or the certificate of the server"
        )
    if isinstance(error, TimeoutError):
        return TargetUnreachableError(address, "no response in time")
    if isinstance(error, _UNREACHABLE):
        return TargetUnreachableError(address, f"the request ended by the server ({_state(error)})")
    if isinstance(error, ConnectionError) and "SSL" in str(error):
        return WarehouseError(
            f"{where}: found a server without TLS, expected it as PGSSLMODE requires; turn it on there, or correct "
            "PGSSLMODE"
        )
    if isinstance(error, OSError):
        return TargetUnreachableError(address, "no response")
    if isinstance(error, asyncpg.PostgresError):
        return WarehouseError(
            f"{where}: found {_state(error)} {one_line(error)!r}, expected the statement to be accepted; its "
            "readers keep the version before, correct what it names and run `hashpivot publish-only`"
        )
    if isinstance(error, asyncpg.InternalClientError) or "connection" in str(error):
        return TargetUnreachableError(address, "the connection ended")
    return WarehouseError(
        f"{where}: found {type(error).__name__}, expected a connection to be possible; look at the variables PG*"
    )


def _state(error: Exception) -> str:
    return getattr(error, "sqlstate", None) or type(error).__name__


_LOGIN: Final = "set PGPASSWORD, or a line in the file of PGPASSFILE or in the service file, or correct the user"
_MEANINGS: Final[tuple[tuple[type[Exception], str, str, str], ...]] = (
    (asyncpg.InvalidPasswordError, "the password rejected", "that of the user", _LOGIN),
    (
        asyncpg.InvalidAuthorizationSpecificationError,
        "the login rejected",
        "a user whom the server lets in from here",
        "correct the user, pg_hba.conf of the server, or PGSSLMODE",
    ),
    (asyncpg.InvalidCatalogNameError, "no such database", "one", "create it, or correct the address"),
    (
        asyncpg.InsufficientPrivilegeError,
        "a right missing (42501)",
        "a user who may create schemas in the database and owns those of earlier versions",
        "grant create on the database to the user",
    ),
    (
        asyncpg.ReadOnlySQLTransactionError,
        "a server that only reads",
        "one that may be written to",
        "name the primary server, or turn default_transaction_read_only off for the user",
    ),
    (
        asyncpg.DiskFullError,
        "the disk of the server full",
        "room for one version more",
        "free space there; its readers keep the version before",
    ),
    (
        asyncpg.OutOfMemoryError,
        "the server out of memory",
        "enough of it",
        "raise max_locks_per_transaction or its memory",
    ),
    (
        asyncpg.UniqueViolationError,
        "two rows with one key",
        "each key once",
        "report it; its readers keep the version before",
    ),
    (
        asyncpg.ClientConfigurationError,
        "variables PG* that cannot be used",
        "those of the documentation of PostgreSQL",
        "correct PGSSLMODE, PGSSLROOTCERT or the service file",
    ),
    (FileNotFoundError, "no file of PGSSLROOTCERT, PGSSLCERT or PGSSLKEY", "one", "correct the variable"),
)
