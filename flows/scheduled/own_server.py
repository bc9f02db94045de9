"""A server of our own: the socket it listens on, the addresses it serves, its process.

Nothing here imports Prefect. The socket stays with the process that starts the server: nobody else gets the port, and
with it the login of our clients, while the server starts again.
"""

import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from ipaddress import IPv6Address, ip_address
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from schemas.errors import SettingsError

LOOPBACK: Final = "127.0.0.1"
ANY: Final = ("0.0.0.0", "::")
"""Hosts that stand for every address of the machine."""
STOP_SECONDS: Final = 20.0
TEMPORARY: Final = "temporary"
PROGRAM: Final = "flows.scheduled.server_program"
ORIGINS_NAME: Final = "PREFECT_SERVER_CORS_ALLOWED_ORIGINS"
LOGIN_NAME: Final = "PREFECT_SERVER_API_AUTH_STRING"


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches `host`."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens. Raises `SettingsError` where somebody else listens there, or the host is not ours."""
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise SettingsError(
            "--port",
            port,
            f"a port that nobody listens on at {host}",
            f"name another, or set PREFECT_API_URL={origin(host, port)}/api to join the server there",
        ) from error


def origin(host: str, port: int) -> str:
    """Address of a server on this machine, without a path."""
    return f"http://{f'[{host}]' if _is_ipv6(host) else host}{'' if port == 80 else f':{port}'}"


def origins_of(host: str, port: int, environment: Mapping[str, str]) -> list[str]:
    """The addresses under which a server that listens on `host` is served, and what the user has set besides.

    Raises `SettingsError` where the user has set something else than addresses.
    """
    names = [LOOPBACK, "localhost", socket.gethostname()] if host in ANY else [host]
    if is_loopback(host):
        names += [LOOPBACK, "localhost"]
    ours = [origin(name, port).lower() for name in names]
    return list(dict.fromkeys([*ours, *read_origins(environment)]))


def read_origins(environment: Mapping[str, str]) -> list[str]:
    """The origins of `PREFECT_SERVER_CORS_ALLOWED_ORIGINS`. Raises `SettingsError` for what is none, `*` included."""
    found = [part.strip().lower().rstrip("/") for part in environment.get(ORIGINS_NAME, "").split(",") if part.strip()]
    for one in found:
        parts = urlsplit(one)
        if parts.scheme not in ("http", "https") or not parts.hostname or one != f"{parts.scheme}://{parts.netloc}":
            raise SettingsError(
                ORIGINS_NAME, one, "addresses like https://hashpivot.example.org, with commas between", "correct it"
            )
    return found


def start(
    listener: socket.socket, *, login: str, origins: list[str], published: Path | None = None
) -> subprocess.Popen[bytes]:
    """Start the server on `listener`; it ends with this process, whatever ends that.

    `published`: the folder of publications that it serves beside its pages; without one it is a temporary server.
    """
    # The server must not be a client of itself, or its own tasks would go out through the network.
    environment = {name: value for name, value in os.environ.items() if name != "PREFECT_API_URL"}
    environment |= {LOGIN_NAME: login, ORIGINS_NAME: ",".join(origins)}
    environment.setdefault("PREFECT_UI_API_URL", "/api")
    if published is None:
        environment["PREFECT_API_BLOCKS_REGISTER_ON_START"] = "false"
    return subprocess.Popen(
        [
            sys.executable,
            "-P",
            "-m",
            PROGRAM,
            str(listener.fileno()),
            str(published.resolve() if published else TEMPORARY),
        ],
        env=environment,
        pass_fds=[listener.fileno()],
        # Its input ends when we do, even by a kill.
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        # Out of reach of ctrl-C, so that runs can still report their end to it.
        start_new_session=True,
    )


def end(server: subprocess.Popen[bytes]) -> None:
    """End a server of our own; it finishes the requests it has."""
    server.terminate()
    try:
        server.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def _is_ipv6(host: str) -> bool:
    try:
        return isinstance(ip_address(host), IPv6Address)
    except ValueError:
        return False
