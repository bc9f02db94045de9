"""HTTP with one deadline a request, from its connection to the last byte of its response.

The time-outs of `requests` bound each operation of a socket. A server that sends a byte now and then, of a header, of
one `100 Continue` after the other or of the body, would hold a request for as long as it likes. Here every operation
gets at most the time that is left of the whole. Two things are bounded otherwise: the look-up of a host name by the
system's resolver, and the attempt at each address of a host by the time-out for connections.
"""

import io
import socket
import threading
import time
from http.client import HTTPResponse
from http.cookiejar import DefaultCookiePolicy
from typing import Any, Final

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager, ProxyManager
from urllib3.connection import HTTPConnection, HTTPSConnection

_current: Final = threading.local()
"""`deadline`: that of the request that this thread sends."""


class _Deadline:
    """Time for a whole request; it starts at the first look, so that waiting for a free connection does not count."""

    def __init__(self, whole_seconds: float) -> None:
        self._whole_seconds = whole_seconds
        self._ends_at: float | None = None

    def left_seconds(self) -> float:
        """Time that is left. Raises `TimeoutError` where there is none."""
        now = time.monotonic()
        if self._ends_at is None:
            self._ends_at = now + self._whole_seconds
        if now >= self._ends_at:
            raise TimeoutError("deadline of the request")
        return self._ends_at - now


class _Reader(io.RawIOBase):
    """What arrives at a socket, until a deadline."""

    def __init__(self, connected: socket.socket, deadline: _Deadline) -> None:
        super().__init__()
        self._socket, self._deadline = connected, deadline
        self._part_seconds = connected.gettimeout()
        self._file = connected.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left_seconds = self._deadline.left_seconds()
        part_seconds = left_seconds if self._part_seconds is None else self._part_seconds
        self._socket.settimeout(min(part_seconds, left_seconds))
        return self._file.readinto(buffer)

    def close(self) -> None:
        self._file.close()
        super().close()


class _Readable:
    """The one thing that `HTTPResponse` wants of a socket."""

    def __init__(self, connected: socket.socket, deadline: _Deadline) -> None:
        self._connected, self._deadline = connected, deadline

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Reader(self._connected, self._deadline))


class _Response(HTTPResponse):
    """Status line, headers and body, also those of a proxy that is to open a tunnel."""

    def __init__(self, connected: socket.socket, *args: Any, **facts: Any) -> None:
        super().__init__(_Readable(connected, _current.deadline), *args, **facts)  # type: ignore[arg-type]


class _Connection(HTTPConnection):
    response_class = _Response

    def _new_conn(self) -> socket.socket:
        # The handshake of TLS, which follows, is one operation with this time-out too.
        self.timeout = min(self.timeout or float("inf"), _current.deadline.left_seconds())
        return super()._new_conn()

    def putrequest(self, *args: Any, **facts: Any) -> None:
        _current.deadline.left_seconds()
        super().putrequest(*args, **facts)


class _SecureConnection(_Connection, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


class _Adapter(HTTPAdapter):
    """Connections that stay open, at most `connections_count`; a request beyond them waits for one."""

    def __init__(self, connections_count: int, whole_seconds: float) -> None:
        self._whole_seconds = whole_seconds
        super().__init__(pool_connections=1, pool_maxsize=connections_count, pool_block=True, max_retries=0)

    def init_poolmanager(self, *args: Any, **facts: Any) -> None:
        super().init_poolmanager(*args, **facts)
        _keep_deadlines(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **facts: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **facts)
        # One for SOCKS has connections of its own, whose operations are bounded one by one.
        if isinstance(manager, ProxyManager):
            _keep_deadlines(manager)
        return manager

    def send(self, *args: Any, **facts: Any) -> requests.Response:
        _current.deadline = _Deadline(self._whole_seconds)
        return super().send(*args, **facts)


def _keep_deadlines(manager: PoolManager) -> None:
    manager.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}


class _Session(requests.Session):
    def __init__(self) -> None:
        super().__init__()
        # No source needs cookies, and one with an unusual value could not be sent back.
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))

    def get_redirect_target(self, resp: requests.Response) -> None:
        """None: clients follow redirects themselves, and `requests` would read a whole body and parse its target."""


def http_session(connections_count: int, whole_seconds: float) -> requests.Session:
    """A session in which each request has `whole_seconds` in all; a longer one raises a time-out of `requests`."""
    session = _Session()
    adapter = _Adapter(connections_count, whole_seconds)
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    return session


def stated_bytes(response: requests.Response) -> int:
    """Length of the body as its header states it; 0 where that states none."""
    stated = response.headers.get("Content-Length", "").lstrip("0")
    # More digits than these are too long for anyone, and too many for `int`.
    return int(stated[:18]) if stated.isascii() and stated.isdigit() else 0
