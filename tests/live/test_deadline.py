"""A request ends at its deadline, however its server spreads what it sends over time."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from itertools import chain, islice, repeat
from pathlib import Path

import pytest
import requests
from urllib3.exceptions import HTTPError

from flows.sources.http_session import http_session
from flows.sources.node.connection import Connection, RetryPolicy
from flows.sources.node.credentials import Password
from flows.sources.web.access import Access
from flows.sources.web.session import WebSession
from flows.sources.web.site import RetryPolicy as SiteRetryPolicy
from schemas.errors import TransientError
from tests.live import example_site

WHOLE_SECONDS = 0.3
PART_SECONDS = 0.2
LATE_SECONDS = WHOLE_SECONDS + 1
"""Past the deadline by what a busy machine may need."""
DRIP_SECONDS = 0.025
MOST_PIECES_COUNT = 400
"""So that a request without a deadline fails and does not hang."""

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
ENDLESS: dict[str, Callable[[], Iterator[bytes]]] = {
    "status line": lambda: chain([b"HTTP/1.1 200 "], repeat(b"O")),
    "header": lambda: chain([HEAD, b"X-Slow: "], repeat(b"a")),
    "headers": lambda: chain([HEAD], (b"X-%d: a\r\n" % number for number in range(10**9))),
    "100 Continue": lambda: repeat(b"HTTP/1.1 100 Continue\r\n\r\n"),
    "body": lambda: chain([HEAD, b"Content-Length: 9000000\r\n\r\n"], repeat(b" ")),
    "body of unknown length": lambda: chain([HEAD, b"Connection: close\r\n\r\n"], repeat(b" ")),
    "chunk": lambda: chain([HEAD, b"Transfer-Encoding: chunked\r\n\r\n5\r\n"], repeat(b" ")),
    "chunks": lambda: chain([HEAD, b"Transfer-Encoding: chunked\r\n\r\n"], repeat(b"1\r\n \r\n")),
    "length of a chunk": lambda: chain([HEAD, b"Transfer-Encoding: chunked\r\n\r\n"], repeat(b"0")),
    "trailer": lambda: chain([HEAD, b"Transfer-Encoding: chunked\r\n\r\n0\r\n"], repeat(b"X: a\r\n")),
    "nothing": lambda: repeat(b""),
}
"""What a server sends piece by piece and without an end."""


@contextmanager
def listening(pieces: Callable[[], Iterator[bytes]]) -> Iterator[int]:
    """Port of a server that sends such pieces to every connection, one after the other with pauses."""

    def drip(connected: socket.socket) -> None:
        with suppress(OSError), connected:
            for piece in islice(pieces(), MOST_PIECES_COUNT):
                if over.wait(DRIP_SECONDS):
                    return
                connected.sendall(piece)

    def accept() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=drip, args=(server.accept()[0],), daemon=True).start()

    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=accept, daemon=True).start()
        yield server.getsockname()[1]
        over.set()
        server.shutdown(socket.SHUT_RDWR)


def fetch(address: str, **options: object) -> bytes:
    with (
        http_session(1, WHOLE_SECONDS) as session,
        session.get(address, timeout=PART_SECONDS, stream=True, **options) as response,  # type: ignore[arg-type]
    ):
        return b"".join(response.raw.stream(1024))


@pytest.mark.parametrize("kind", ENDLESS)
def test_endless_response_ends_at_the_deadline(kind: str) -> None:
    with listening(ENDLESS[kind]) as port:
        began = time.monotonic()
        with pytest.raises((requests.exceptions.Timeout, HTTPError), match="timed out"):
            fetch(f"http://127.0.0.1:{port}/")
        assert time.monotonic() - began < LATE_SECONDS


@pytest.mark.parametrize("through", ["TLS", "a proxy"])
def test_endless_handshake_ends_at_the_deadline(through: str) -> None:
    handshake = chain([b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc"], repeat(b"\x00"))
    with listening(lambda: handshake if through == "TLS" else ENDLESS["header"]()) as port:
        began = time.monotonic()
        options = {} if through == "TLS" else {"proxies": {"https": f"http://127.0.0.1:{port}"}}
        address = f"https://127.0.0.1:{port}/" if through == "TLS" else "https://proxied.invalid/"
        with pytest.raises(requests.exceptions.RequestException, match="timed out"):
            fetch(address, **options)
        assert time.monotonic() - began < LATE_SECONDS


def test_connection_that_nobody_accepts_ends_in_time() -> None:
    with socket.socket() as server, socket.socket() as first, socket.socket() as second:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        for waiting in (first, second):
            waiting.setblocking(False)
            waiting.connect_ex(server.getsockname())
        began = time.monotonic()
        with pytest.raises(requests.exceptions.ConnectTimeout):
            fetch(f"http://127.0.0.1:{server.getsockname()[1]}/")
        assert time.monotonic() - began < LATE_SECONDS


def test_wait_for_a_free_connection_does_not_count() -> None:
    whole_seconds, waits_count = 2.0, 3
    silence = [b""] * round(whole_seconds / 2 / DRIP_SECONDS)
    pieces = [*silence, HEAD, b"Content-Length: 2\r\nConnection: close\r\n\r\n{}"]
    with listening(lambda: iter(pieces)) as port, http_session(1, whole_seconds) as session:

        def body(_: int) -> bytes:
            with session.get(f"http://127.0.0.1:{port}/", timeout=whole_seconds, stream=True) as response:
                return b"".join(response.raw.stream(1024))

        with ThreadPoolExecutor(waits_count) as executor:
            assert list(executor.map(body, range(waits_count))) == [b"{}"] * waits_count


@pytest.mark.parametrize("kind", ["header", "100 Continue", "body"])
def test_both_clients_name_the_deadline(tmp_path: Path, kind: str) -> None:
    policy = SiteRetryPolicy(attempts_count=1, whole_seconds=WHOLE_SECONDS, read_seconds=PART_SECONDS)
    node_policy = RetryPolicy(attempts_count=1, whole_seconds=WHOLE_SECONDS, response_seconds=PART_SECONDS)
    with listening(ENDLESS[kind]) as port:
        address = f"http://127.0.0.1:{port}"
        web = WebSession(tmp_path).client(example_site.site(retry_policy=policy), Access(url=address))
        node = Connection(address, Password("user", "long password"), retry_policy=node_policy)
        for request in (lambda: web.text("/", {}), lambda: node.post("getblock", b"{}"), lambda: node.get("/rest/x")):
            began = time.monotonic()
            with pytest.raises(TransientError, match=r"no complete response within 0\.2 s a part and 0\.3 s in all"):
                request()
            assert time.monotonic() - began < LATE_SECONDS
