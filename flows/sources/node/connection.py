"""HTTP with one node: few connections that stay open, responses of limited size, and library errors turned into ours.

Source: https://github.com/bitcoin/bitcoin/blob/master/doc/JSON-RPC-interface.md. What may pass (no connection, a
time-out, a full work queue, a start in progress, a response cut short) is a `TransientError` and is retried here, with
growing and random pauses; all our calls only read, so repeating one does no harm.
"""

import logging
import threading
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar
from urllib.parse import unquote, urlsplit

import requests
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    sleep_using_event,
    stop_after_attempt,
    wait_exponential,
    wait_random,
)
from urllib3.exceptions import HTTPError
from urllib3.exceptions import TimeoutError as OverdueError

from flows.sources.http_session import http_session, stated_bytes
from flows.sources.node.credentials import Credentials, Pair, Password
from schemas.errors import BadInputError, RunOverError, SettingsError, TransientError

logger = logging.getLogger(__name__)

URL_SETTING: Final = "HASHPIVOT_NODE_URL"
MOST_CONNECTIONS_COUNT: Final = 8
"""Core closes what exceeds 16 for all its clients together, and too many open ones can crash it."""
LARGEST_RESPONSE_BYTES: Final = 192 * 1024**2
"""A full block with its prevouts takes some 20 MB of JSON; the worst that fits into a block stays far below this."""
CHUNK_BYTES: Final = 1024**2
LONGEST_QUOTE_CHARACTERS: Final = 80
BUSY: Final = b"Work queue depth exceeded"
PASSING_STATUS: Final = (429, 502, 503, 504)

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How long to wait for the node, and how often to try.

    By default the pauses add up to a minute, which covers a restart of the node; a longer outage ends the run, and the
    scheduler retries it later.
    """

    attempts_count: int = 12
    first_pause_seconds: float = 0.25
    longest_pause_seconds: float = 10
    connect_seconds: float = 10
    response_seconds: float = 120
    whole_seconds: float = 180


@dataclass(frozen=True, slots=True)
class Reply:
    """One HTTP response, read whole."""

    status: int
    body: bytes


class Connection:
    """HTTP with one node. Safe to use from several threads; requests beyond the number of connections wait."""

    def __init__(
        self,
        url: str,
        credentials: Credentials | None,
        *,
        retry_policy: RetryPolicy | None = None,
        connections_count: int = MOST_CONNECTIONS_COUNT,
        largest_response_bytes: int = LARGEST_RESPONSE_BYTES,
    ) -> None:
        """Open no connection yet. Without `credentials`, the user and password in `url` are used.

        Raises `SettingsError` for an unusable address or missing credentials.
        """
        self.origin, from_url = _split(url)
        found = credentials or from_url
        if found is None:
            raise SettingsError(
                "HASHPIVOT_NODE_COOKIE_FILE",
                None,
                "a cookie file, or a user and a password",
                "set it, or HASHPIVOT_NODE_USER and HASHPIVOT_NODE_PASSWORD",
            )
        self._credentials = found
        self._retry_policy = retry_policy or RetryPolicy()
        self._largest_response_bytes = largest_response_bytes
        self._stopped = threading.Event()
        self.connections_count = min(connections_count, MOST_CONNECTIONS_COUNT)
        self._session = http_session(self.connections_count, self._retry_policy.whole_seconds)
        # A node may hold a wallet: its password must not go through proxies, nor come from ~/.netrc.
        self._session.trust_env = False

    def close(self) -> None:
        """Request nothing more, by whichever thread, and close every connection."""
        self.stop()
        self._session.close()

    def stop(self) -> None:
        """Send no further request. Threads that wait for a response get that one, and do not retry."""
        self._stopped.set()

    def with_retries(self, attempt: Callable[[], Result]) -> Result:
        """What `attempt` returns, retried on `TransientError` as far as the policy allows and until `stop`."""
        retrying = Retrying(
            retry=retry_if_exception_type(TransientError),
            stop=stop_after_attempt(self._retry_policy.attempts_count),
            wait=wait_exponential(self._retry_policy.first_pause_seconds, self._retry_policy.longest_pause_seconds)
            + wait_random(0, self._retry_policy.first_pause_seconds),
            before_sleep=_log_retry,
            sleep=sleep_using_event(self._stopped),
            reraise=True,
        )
        return retrying(attempt)

    def post(self, call: str, body: bytes) -> Reply:
        """The response to a JSON-RPC request; `call` names it in messages.

        Rejected credentials are read again, once. Raises `TransientError`, or `SettingsError` where they are rejected
        again.
        """
        pair = self._credentials.current()
        reply = self._exchange("POST", "/", call, body, pair)
        if reply.status == requests.codes.unauthorized:
            reply = self._exchange("POST", "/", call, body, self._credentials.after_rejection_of(pair))
            if reply.status == requests.codes.unauthorized:
                raise SettingsError(
                    URL_SETTING, f"{self.origin}, which rejects our credentials", "ones that it accepts", "correct them"
                )
        if reply.status == requests.codes.forbidden:
            raise SettingsError(
                URL_SETTING,
                f"{self.origin}, which forbids {call}",
                "an address in its rpcallowip and methods in its rpcwhitelist",
                "allow them in bitcoin.conf",
            )
        return reply

    def get(self, path: str) -> Reply:
        """The response to a REST request, which is sent without credentials. Raises `TransientError`."""
        return self._exchange("GET", path, path, None, None)

    def unexpected(self, call: str, reply: Reply, expected: str) -> BadInputError:
        """The error for a response that is not from a node."""
        found = f"HTTP {reply.status} {quoted(reply.body)}".rstrip()
        return BadInputError(
            f"{self.origin} {call}", found, expected, f"check that {URL_SETTING} is Bitcoin Core's RPC port"
        )

    def _exchange(self, method: str, path: str, call: str, body: bytes | None, pair: Pair | None) -> Reply:
        place = f"{self.origin} {call}"
        if self._stopped.is_set():
            raise RunOverError(place)
        try:
            with self._session.request(
                method,
                self.origin + path,
                data=body,
                headers=_headers(pair) if pair else None,
                timeout=(self._retry_policy.connect_seconds, self._retry_policy.response_seconds),
                allow_redirects=False,
                stream=True,
            ) as response:
                reply = Reply(response.status_code, self._whole(place, response))
        except (requests.exceptions.Timeout, OverdueError) as error:
            policy = self._retry_policy
            raise TransientError(
                f"{place}: no complete response within {policy.response_seconds:g} s a part and "
                f"{policy.whole_seconds:g} s in all, expected one; try again later"
            ) from error
        except requests.exceptions.InvalidURL as error:
            raise _bad_url(self.origin) from error
        except (requests.exceptions.RequestException, HTTPError, OSError) as error:
            # Only the class of the error: its text may quote what was sent.
            kind = type(error.args[0] if error.args and isinstance(error.args[0], Exception) else error).__name__
            raise TransientError(
                f"{place}: found no working connection ({kind}), expected a response; see that the node runs"
            ) from error
        if reply.status in PASSING_STATUS or (reply.status >= requests.codes.server_error and BUSY in reply.body):
            raise TransientError(
                f"{place}: found HTTP {reply.status} {quoted(reply.body)}, expected a response; try again later"
            )
        return reply

    def _whole(self, place: str, response: requests.Response) -> bytes:
        """The body, read no further than the longest response that we expect."""
        size_bytes = stated_bytes(response)
        chunks: list[bytes] = []
        received_bytes = 0
        if size_bytes <= self._largest_response_bytes:
            for chunk in response.raw.stream(CHUNK_BYTES, decode_content=True):
                chunks.append(chunk)
                received_bytes += len(chunk)
                if received_bytes > self._largest_response_bytes:
                    break
        if max(size_bytes, received_bytes) > self._largest_response_bytes:
            raise BadInputError(
                place,
                f"a response of {max(size_bytes, received_bytes):,} bytes or more",
                f"at most {self._largest_response_bytes:,}",
                f"check that {URL_SETTING} is Bitcoin Core's RPC port",
            )
        return b"".join(chunks)


def quoted(body: bytes) -> str:
    """The beginning of `body` on one line that can be printed."""
    text = " ".join(body[: 4 * LONGEST_QUOTE_CHARACTERS].decode("utf-8", "replace").split())
    shown = "".join(c if c.isprintable() else repr(c)[1:-1] for c in text[:LONGEST_QUOTE_CHARACTERS])
    return repr(shown + ("..." if len(text) > LONGEST_QUOTE_CHARACTERS else "")) if shown else "with an empty body"


def _split(url: str) -> tuple[str, Credentials | None]:
    """The address without the user and password that it may hold, and those."""
    try:
        parts = urlsplit(url.strip())
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise _bad_url("an address that cannot be parsed") from error
    if parts.scheme not in ("http", "https") or not host:
        raise _bad_url(f"an address with scheme {parts.scheme!r} and host {host!r}")
    bracketed = f"[{host}]" if ":" in host else host
    origin = f"{parts.scheme}://{bracketed}" + (f":{port}" if port is not None else "")
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise _bad_url(f"{origin} with a path or a query")
    if parts.username is None or parts.password is None:
        return origin, None
    return origin, Password(unquote(parts.username), unquote(parts.password))


def _headers(pair: Pair) -> dict[str, str]:
    token = b64encode(":".join(pair).encode()).decode("ascii")
    return {"Content-Type": "application/json", "Authorization": f"Basic {token}"}


def _bad_url(found: str) -> SettingsError:
    return SettingsError(URL_SETTING, found, "an address such as http://127.0.0.1:8332", "correct it")


def _log_retry(state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    pause_seconds = state.next_action.sleep if state.next_action else 0
    logger.info("retry in %.1f s after: %s", pause_seconds, error)
