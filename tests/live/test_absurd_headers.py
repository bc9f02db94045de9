"""No header of a response ends a run otherwise than with an error of ours, and none pauses a source for long."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from flows.sources.node.connection import Connection, RetryPolicy
from flows.sources.node.credentials import Password
from flows.sources.web.access import Access
from flows.sources.web.client import Client
from flows.sources.web.required_pause import LONGEST_PAUSE_SECONDS
from flows.sources.web.session import WebSession
from flows.sources.web.site import Limit
from flows.sources.web.site import RetryPolicy as SiteRetryPolicy
from schemas.errors import HashpivotError, SourcePausedError, TransientError
from tests.live import example_site

HEADERS = (
    *("Retry-After", "X-RateLimit-Reset", "Content-Length", "Content-Type", "Content-Encoding", "Transfer-Encoding"),
    *("Connection", "Date", "ETag", "Last-Modified", "Location", "Set-Cookie", "WWW-Authenticate", "X-Any"),
)
TEXTS = st.one_of(
    st.integers().map(str),
    st.integers(10**19, 10**20).map(str),
    st.integers(10**12, 2 * 10**12).map(str),
    st.integers(1, 6000).map("9".__mul__),
    st.floats().map(str),
    st.datetimes().map(lambda at: f"{at:%a, %d %b %Y %H:%M:%S} GMT"),
    st.from_regex(r"Mon, [0-9]{1,2} Jan [0-9]{1,12} [0-9:]{1,8} [+-][0-9]{1,12}", fullmatch=True),
    st.sampled_from(
        ["chunked", "gzip", "deflate, gzip", "http://[", "//\xff", "a=b; expires=Mon, 1 Jan 99999", "a=\x01"]
    ),
    st.text(st.characters(max_codepoint=255, blacklist_characters="\r\n")),
    st.text(st.characters(max_codepoint=255, blacklist_characters="\r\n")).map("a\r\n ".__add__),
)
RETRY_POLICY = RetryPolicy(attempts_count=1, response_seconds=1)
STATUSES = st.sampled_from([200, 302, 304, 401, 403, 429, 503])


class Server:
    """Sends `head` and a small body to every connection."""

    def __init__(self) -> None:
        self.head = b""
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connected, _ = self._listening.accept()
                with suppress(OSError), connected:
                    connected.recv(65536)
                    connected.sendall(self.head + b"\r\n{}")

    def respond(self, status: int, headers: list[tuple[str, str]]) -> None:
        lines = [f"HTTP/1.1 {status} Any", "Connection: close", *(f"{name}: {text}" for name, text in headers)]
        self.head = "".join(f"{line}\r\n" for line in lines).encode("latin-1")

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with closing(Server()) as started:
        yield started


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def client(server: Server, home: Path) -> Client:
    site = example_site.site(
        limits=(Limit(10**6, 1),),
        conditional=True,
        reset_header="X-RateLimit-Reset",
        retry_policy=SiteRetryPolicy(attempts_count=1, limited_count=1, read_seconds=1),
    )
    return WebSession(home).client(site, Access(url=server.url))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(status=STATUSES, headers=st.lists(st.tuples(st.sampled_from(HEADERS), TEXTS), max_size=4))
@example(status=200, headers=[("Content-Length", "9" * 5000)])
@example(status=200, headers=[("Content-Length", "-1")])
@example(status=302, headers=[("Location", "http://[")])
@example(status=302, headers=[("Location", "//\xff")])
def test_no_header_raises_anything_but_an_error_of_ours(
    server: Server, home: Path, client: Client, status: int, headers: list[tuple[str, str]]
) -> None:
    server.respond(status, headers)
    # The second request sends back what the first response gave.
    for _ in range(2):
        with suppress(HashpivotError):
            client.text("/any", {})
        (home / "pace" / "example.closed").unlink(missing_ok=True)
    node = Connection(server.url, Password("user", "long password"), retry_policy=RETRY_POLICY)
    with closing(node), suppress(HashpivotError):
        node.get("/rest/any")
        node.post("any", b"{}")


@pytest.mark.parametrize(
    "header", [("ETag", "a\r\n b"), ("Last-Modified", "\x01"), ("Set-Cookie", "a=\x01")], ids=lambda header: header[0]
)
def test_value_that_cannot_be_sent_back_does_not_end_later_requests(
    server: Server, client: Client, header: tuple[str, str]
) -> None:
    server.respond(200, [("Content-Type", "application/json"), header])
    assert [client.text(f"/{header[0]}", {}).value for _ in range(2)] == ["{}", "{}"]


@settings(max_examples=100, deadline=None)
@given(status=st.sampled_from([403, 429, 503]), name=st.sampled_from(["Retry-After", "X-RateLimit-Reset"]), text=TEXTS)
def test_no_header_pauses_a_source_for_more_than_a_day(
    server: Server, home: Path, client: Client, status: int, name: str, text: str
) -> None:
    server.respond(status, [(name, text)])
    with pytest.raises(HashpivotError) as caught:
        client.text("/any", {})
    if isinstance(caught.value, SourcePausedError):
        assert (caught.value.until - datetime.now(UTC)).total_seconds() <= LONGEST_PAUSE_SECONDS
        with pytest.raises(SourcePausedError):
            client.raise_if_paused()
    (home / "pace" / "example.closed").unlink(missing_ok=True)


@pytest.mark.parametrize(
    ("text", "expected_seconds"),
    [
        ("3600", 3600),
        ("99999999999999999999", LONGEST_PAUSE_SECONDS),
        ("9" * 5000, LONGEST_PAUSE_SECONDS),
        ("{ends_at:.0f}", 3600),
        ("{ends_at:.0f}000", 3600),
        ("Fri, 31 Dec 9999 23:59:59 GMT", LONGEST_PAUSE_SECONDS),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 600),
        ("1.6e3", 600),
        ("-3600", 600),
        ("nan", 600),
        ("inf", 600),
        ("soon", 600),
    ],
)
@pytest.mark.parametrize("name", ["Retry-After", "X-RateLimit-Reset"])
def test_pause_is_what_the_header_states_where_that_can_be(
    server: Server, home: Path, client: Client, name: str, text: str, expected_seconds: float
) -> None:
    server.respond(429, [(name, text.format(ends_at=time.time() + 3600))])
    with pytest.raises(TransientError) as caught:
        client.text("/any", {})
    assert isinstance(caught.value, SourcePausedError)
    assert (caught.value.until - datetime.now(UTC)).total_seconds() == pytest.approx(expected_seconds, abs=10)
    (home / "pace" / "example.closed").unlink(missing_ok=True)
