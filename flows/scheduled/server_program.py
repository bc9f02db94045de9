"""Prefect's server as a program that responds to nobody but those it serves.

`python -m flows.scheduled.server_program DESCRIPTOR FOLDER` serves a socket that already listens, until its input ends,
and the publications of the folder, where that is not the word `temporary`. `create_app` is for programs that serve
applications, as `uvicorn --factory` does. The addresses that are served come from
`PREFECT_SERVER_CORS_ALLOWED_ORIGINS`, the login from `PREFECT_SERVER_API_AUTH_STRING`.
"""

import os
import signal
import socket
import sys
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from flows.scheduled.asgi import Application, Receive, Scope, Send, respond, with_headers
from flows.scheduled.own_server import LOGIN_NAME, TEMPORARY, read_origins
from flows.startup import importing

FRAMES: Final = (b"content-security-policy", b"frame-ancestors 'none'")
"""No page of others may show ours inside itself and let people click on it unaware."""


class OnlyServed:
    """ASGI middleware: passes on requests and web sockets for one of `origins`, sent by a program or from their pages.

    A page of another origin in a browser on this machine, and a name that somebody lets point at this machine, get 403.
    """

    def __init__(self, application: Application, origins: Iterable[str]) -> None:
        self._application = application
        self._origins = {origin.encode() for origin in origins}
        self._hosts = {urlsplit(origin).netloc.encode() for origin in origins}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, or refuse."""
        if scope["type"] == "lifespan":
            await self._application(scope, receive, send)
        elif self._is_served(scope["headers"]):
            await self._application(scope, receive, with_headers(send, FRAMES))
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            served = ", ".join(sorted(origin.decode() for origin in self._origins))
            text = (
                f"Only {served} are served here. Open one of them, or name this address in "
                "PREFECT_SERVER_CORS_ALLOWED_ORIGINS where the server runs.\n"
            )
            await respond(send, 403, text)

    def _is_served(self, headers: Iterable[tuple[bytes, bytes]]) -> bool:
        named = [(name, value.lower()) for name, value in headers]
        hosts = [value.removesuffix(b":80") for name, value in named if name == b"host"]
        return (
            len(hosts) == 1
            and hosts[0] in self._hosts
            and all(value in self._origins for name, value in named if name == b"origin")
        )


def create_app(*, temporary: bool = False, published: Path | None = None) -> OnlyServed:
    """The application, with publications of the folder `published` below `/published`.

    Raises `SettingsError` where the login is missing, or an origin cannot be used.
    """
    origins = read_origins(os.environ)
    with importing():
        from prefect.server.api.server import create_app as create_prefect_app

        application: Application = create_prefect_app(ephemeral=temporary, final=True)
        if published is not None:
            from flows.scheduled.published_files import PublishedFiles

            application = PublishedFiles(application, published, os.environ[LOGIN_NAME])
    return OnlyServed(application, origins)


def _serve(descriptor: int, folder: str) -> None:
    temporary = folder == TEMPORARY
    threading.Thread(target=_end_with_parent, name="parent", daemon=True).start()
    with importing():
        import uvicorn
        from prefect.settings import get_current_settings

        api = get_current_settings().server.api
    level = "error" if temporary else get_current_settings().server.logging_level.lower()
    uvicorn.Server(
        uvicorn.Config(
            create_app(temporary=temporary, published=None if temporary else Path(folder)),
            log_level=level,
            lifespan="on",
            timeout_keep_alive=api.keepalive_timeout,
            ws_ping_interval=api.websocket_ping_interval,
            ws_ping_timeout=api.websocket_ping_timeout,
        )
    ).run(sockets=[socket.socket(fileno=descriptor)])


def _end_with_parent() -> None:
    while sys.stdin.buffer.read(1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    _serve(int(sys.argv[1]), sys.argv[2])
