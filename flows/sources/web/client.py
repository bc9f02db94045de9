"""Requests to one site: within its rate limit, counted, bounded, retried, and without secrets in messages.

Every request only reads, so repeating one does no harm. Library errors are caught first and ours raised afterwards: an
exception of `requests` holds the address with its key, and would otherwise be attached to ours as its context.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final, Generic, TypeVar
from urllib.parse import urlencode, urljoin, urlsplit

import msgspec
import requests
from tenacity import RetryCallState, Retrying, retry_if_exception_type, wait_exponential, wait_random
from urllib3.exceptions import HTTPError
from urllib3.exceptions import TimeoutError as OverdueError

from flows.sources.decoders import decoder
from flows.sources.http_session import http_session, stated_bytes
from flows.sources.web.access import Endpoint
from flows.sources.web.part import FILE_CHANGED, Part
from flows.sources.web.rate_limit import RateLimiter
from flows.sources.web.required_pause import required_pause_seconds
from flows.sources.web.responses import CachedResponses
from flows.sources.web.secrets import redacted
from flows.sources.web.site import Failure, FailureKind, InHeader, InParameter, RawResponse, Site
from flows.sources.web.usage import Usage
from schemas.errors import (
    BadInputError,
    FileChangedError,
    HashpivotError,
    RequestRejectedError,
    SettingsError,
    TransientError,
)

CHUNK_BYTES: Final = 64 * 1024
LONGEST_QUOTE_CHARACTERS: Final = 120
LONGEST_PLACE_CHARACTERS: Final = 140
MOST_REDIRECTS_COUNT: Final = 3
MOST_CONNECTIONS_COUNT: Final = 4
PROGRESS_SECONDS: Final = 5
REDIRECTS: Final = (301, 302, 303, 307, 308)
TRANSIENT_STATUS: Final = (408, 425, 500, 502, 503, 504, 520, 521, 522, 523, 524)
"""The last five are those of a content network whose origin does not respond."""
UNCHANGED: Final = 304
NO_CONNECTION: Final = {
    "NewConnectionError": "no server that listens there",
    "NameResolutionError": "a host name that is not known",
    "ConnectTimeoutError": "no connection in time",
    "SSLError": "a certificate that cannot be trusted",
    "ProxyError": "a proxy that rejects the connection",
}
"""Error classes of urllib3 by name, and how messages describe them."""

Kind = TypeVar("Kind")
Params = Mapping[str, str | int]


@dataclass(frozen=True, slots=True)
class Response(Generic[Kind]):
    """One decoded response, with the address that was requested (without secrets) and the digest of its bytes."""

    value: Kind
    origin: str
    sha256: str


class _RetryableError(TransientError):
    """A failure that a retry may resolve; `pause_seconds`: the pause that the site requires, if it states one."""

    def __init__(self, message: str, *, pause_seconds: float | None = None, rate_limited: bool = False) -> None:
        self.pause_seconds, self.rate_limited = pause_seconds, rate_limited
        super().__init__(message)


class Client:
    """Requests to one site. Safe to use from several threads; made by `WebSession.client`."""

    def __init__(
        self,
        site: Site,
        endpoint: Endpoint,
        rate_limiter: RateLimiter,
        cache: CachedResponses,
        usage: Usage,
        progress: Callable[[str], None],
        time_scale: float,
    ) -> None:
        self.site, self.usage = site, usage
        self._endpoint, self._rate_limiter, self._cache = endpoint, rate_limiter, cache
        self._progress, self._time_scale = progress, time_scale
        self._reported_at = time.monotonic()
        self._session = http_session(MOST_CONNECTIONS_COUNT, site.retry_policy.whole_seconds * time_scale)
        # Proxies of the environment count, ~/.netrc does not: a set `auth` keeps it from being looked at.
        self._session.auth = endpoint.login or _unchanged
        self._session.headers.update({"User-Agent": endpoint.user_agent, "Accept": ", ".join(site.content_types)})
        self._session.headers.update(site.headers)

    def raise_if_paused(self) -> None:
        """Raise `SourcePausedError` while the source is paused; makes no request."""
        self._rate_limiter.raise_if_paused()

    def report(self, line: str) -> None:
        """Show `line`, which holds no secret, to whom waits for this source."""
        self._progress(line)

    def close(self) -> None:
        """Close every connection."""
        self._session.close()
        self._rate_limiter.close()

    def json(self, path: str, params: Params, kind: type[Kind]) -> Response[Kind]:
        """The JSON response of `path` under the base address, decoded into `kind`; `Decimal` there is exact.

        Raises `TransientError` where the last retry failed, `SourcePausedError` where the source is paused,
        `RequestRejectedError` for a request that it rejects, `BadInputError` for a response of an unknown shape,
        `SettingsError` for a key or a contact that it rejects, `RequestBudgetError` where the budget is spent.
        """
        its_decoder = decoder(kind)

        def decoded(reply: RawResponse, place: str) -> Kind:
            try:
                return its_decoder.decode(reply.body)
            except msgspec.ValidationError as error:
                problem: HashpivotError = BadInputError(
                    place, redacted(str(error)), f"a response as {self.site.title} documents it", self._check_address
                )
            except (msgspec.DecodeError, UnicodeDecodeError):
                problem = _RetryableError(
                    f"{place}: found {len(reply.body):,} bytes of JSON that break off or are damaged, "
                    "expected a complete response; try again later"
                )
            except RecursionError:
                problem = BadInputError(place, "JSON nested without end", "a response", self._check_address)
            raise problem

        return self._with_retries(path, params, decoded)

    def text(self, path: str, params: Params) -> Response[str]:
        """The response of `path` as text. Raises as `json`."""
        return self._with_retries(path, params, lambda reply, _: reply.body.decode("utf-8", "replace"))

    def parsed(self, path: str, params: Params, parse: Callable[[bytes], Kind]) -> Response[Kind]:
        """The response of `path` by `parse`, which raises `ValueError` for one that breaks off. Raises as `json`."""
        return self._with_retries(path, params, _retryable(lambda reply, _: parse(reply.body)))

    def part(self, path: str, part: Part) -> bytes:
        """A part of the file at `path`. Raises `FileChangedError` where its version is another, else as `json`."""
        try:
            content: bytes = self._with_retries(path, {}, _retryable(part.content), part).value
            return content
        except RequestRejectedError as error:
            if error.code not in FILE_CHANGED:
                raise
            changed = FileChangedError(error.place, error.code)
        raise changed

    def _with_retries(
        self, path: str, params: Params, decoded: Callable[[RawResponse, str], Any], part: Part | None = None
    ) -> Response[Any]:
        origin = self.place(path, params)
        place = origin if len(origin) <= LONGEST_PLACE_CHARACTERS else f"{origin[:LONGEST_PLACE_CHARACTERS]}..."
        policy, scale = self.site.retry_policy, self._time_scale
        limited_count = 0

        def attempt() -> Response[Any]:
            nonlocal limited_count
            try:
                reply = self._reply(path, params, place, origin, part)
                return Response(decoded(reply, place), origin, sha256(reply.body).hexdigest())
            except _RetryableError as error:
                limited_count += error.rate_limited
                raise

        def stop(state: RetryCallState) -> bool:
            return state.attempt_number >= policy.attempts_count or limited_count >= policy.limited_count

        growing = wait_exponential(policy.first_pause_seconds, policy.longest_pause_seconds) + wait_random(
            0, policy.first_pause_seconds
        )

        def pause(state: RetryCallState) -> float:
            error = state.outcome.exception() if state.outcome else None
            required_seconds = error.pause_seconds if isinstance(error, _RetryableError) else None
            return scale * (growing(state) if required_seconds is None else required_seconds + growing(state) / 4)

        def report(state: RetryCallState) -> None:
            seconds = state.next_action.sleep if state.next_action else 0
            self.usage.add(self.site.name, retries=1, waited_seconds=seconds)
            self._progress(f"retry in {seconds:.1f} s after {state.outcome and state.outcome.exception()}")

        try:
            return Retrying(
                retry=retry_if_exception_type(_RetryableError), stop=stop, wait=pause, before_sleep=report, reraise=True
            )(attempt)
        except _RetryableError as error:
            given_up = TransientError(str(error))
            if error.rate_limited:
                why = f"a rate limit met {limited_count} times"
                given_up = self._rate_limiter.pause_site(
                    max(self.site.cool_down_seconds, error.pause_seconds or 0), why
                )
        raise given_up

    def _reply(self, path: str, params: Params, place: str, origin: str, part: Part | None) -> RawResponse:
        """One response with a body of its own: redirects within the site followed, failures raised."""
        url = self._endpoint.origin + self._endpoint.base + path
        query = dict(params)
        kept = self._cache.get(origin) if self.site.conditional and part is None else None
        conditions = _if_changed(kept) if part is None else part.headers
        for _ in range(MOST_REDIRECTS_COUNT + 1):
            reply = self._exchange(url, query, place, conditions)
            if reply.status not in REDIRECTS:
                break
            url, query = self._redirected(url, reply, place), {}
        else:
            raise BadInputError(place, f"more than {MOST_REDIRECTS_COUNT} redirects", "a response", self._check_address)
        if kept is not None and reply.status == UNCHANGED:
            self.usage.add(self.site.name, unchanged=1)
            return kept
        failure = (self.site.classify(reply) if self.site.classify else None) or self._by_status(reply, part)
        if failure is not None:
            raise self._error(place, failure, reply)
        if reply.content_type not in self.site.content_types:
            raise BadInputError(
                place,
                f"{reply.content_type or 'an untyped body'} {quoted(reply.body)}",
                " or ".join(self.site.content_types),
                self._check_address,
            )
        if self.site.conditional and part is None:
            self._cache.put(origin, reply)
        return reply

    def _exchange(self, url: str, query: Params, place: str, conditions: Mapping[str, str]) -> RawResponse:
        """One request and its response, whatever that is. Raises `_RetryableError` where there is none."""
        self._rate_limiter.raise_if_paused()
        self.usage.spend(self.site.name, place)
        self.usage.add(self.site.name, waited_seconds=self._rate_limiter.wait(self._progress))
        self._report_progress()
        policy, scale = self.site.retry_policy, self._time_scale
        try:
            with self._session.get(
                url,
                params={**query, **self._key_parameter()},
                headers={**conditions, **self._key_header()},
                timeout=(policy.connect_seconds * scale, policy.read_seconds * scale),
                allow_redirects=False,
                stream=True,
            ) as response:
                headers = {name.lower(): value for name, value in response.headers.items()}
                return RawResponse(response.status_code, headers, self._whole(place, response))
        except (requests.exceptions.Timeout, OverdueError):
            found = (
                f"no complete response within {policy.read_seconds:g} s a part and {policy.whole_seconds:g} s in all"
            )
        except requests.exceptions.InvalidURL:
            found = "an address that cannot be requested"
        except (requests.exceptions.RequestException, HTTPError, OSError) as error:
            # Only the kind of the error: its text quotes the address, which may hold the key.
            inner = error.args[0] if error.args and isinstance(error.args[0], Exception) else error
            kind = type(getattr(inner, "reason", None) or inner).__name__
            found = NO_CONNECTION.get(kind) or ("a response that is too slow" if "Timeout" in kind else kind)
        raise _RetryableError(f"{place}: found {found}, expected a response; see that the address can be reached")

    def _report_progress(self) -> None:
        """Report every few seconds how far this source is, so that a long fetch does not look like a stopped one."""
        if time.monotonic() - self._reported_at >= PROGRESS_SECONDS * self._time_scale:
            self._reported_at = time.monotonic()
            used = self.usage.by_site[self.site.name]
            self._progress(
                f"{self.site.title}: {used.requests_count:,} requests, {used.received_bytes / 1e6:,.1f} MB so far"
            )

    def _whole(self, place: str, response: requests.Response) -> bytes:
        """The body; fails as soon as it is longer than any response should be."""
        most = self.site.largest_response_bytes
        received = bytearray()
        size_bytes = stated_bytes(response)
        while size_bytes <= most and len(received) <= most:
            part = response.raw.read1(CHUNK_BYTES, decode_content=True)
            if not part:
                self.usage.add(self.site.name, received_bytes=len(received))
                return bytes(received)
            received += part
        self.usage.add(self.site.name, received_bytes=len(received))
        found = f"a response of {max(size_bytes, len(received)):,} bytes or more"
        raise BadInputError(place, found, f"at most {most:,}", self._check_address)

    def _redirected(self, url: str, reply: RawResponse, place: str) -> str:
        """Target of a redirect, which has to be on the same site."""
        try:
            target = urljoin(url, reply.headers.get("location", ""))
            parts = urlsplit(target)
            host = parts.hostname
        except ValueError:
            target, parts, host = "", urlsplit(""), None
        if f"{parts.scheme}://{parts.netloc}" != self._endpoint.origin:
            found = redacted(f"a redirect to {host or 'nowhere'}")
            raise BadInputError(place, found, f"a response of {self._endpoint.origin} itself", self._check_address)
        return target

    def _by_status(self, reply: RawResponse, part: Part | None) -> Failure | None:
        status = reply.status
        if status == (requests.codes.ok if part is None else requests.codes.partial_content):
            return None
        kind = FailureKind.REJECTED
        if status == requests.codes.too_many_requests:
            kind = FailureKind.RATE_LIMITED
        elif status in TRANSIENT_STATUS or status == requests.codes.ok:
            # Whole where a part was requested: a portal or a proxy in between.
            kind = FailureKind.TRANSIENT
        elif status == requests.codes.unauthorized and self.site.key:
            kind = FailureKind.KEY
        return Failure(kind, f"HTTP {status}", quoted(reply.body))

    def _error(self, place: str, failure: Failure, reply: RawResponse) -> HashpivotError:
        found = redacted(" ".join(f"{failure.code} {failure.message}".split()))[: 2 * LONGEST_QUOTE_CHARACTERS]
        match failure.kind:
            case FailureKind.TRANSIENT | FailureKind.RATE_LIMITED:
                limited = failure.kind is FailureKind.RATE_LIMITED
                pause_seconds = required_pause_seconds(reply, self.site.reset_header)
                if pause_seconds is not None and pause_seconds > self.site.retry_policy.longest_pause_seconds:
                    return self._rate_limiter.pause_site(pause_seconds, found)
                if pause_seconds is None and limited:
                    pause_seconds = self.site.limited_pause_seconds
                message = f"{place}: found {found}, expected a response; try again later"
                return _RetryableError(message, pause_seconds=pause_seconds, rate_limited=limited)
            case FailureKind.BLOCKED:
                return self._rate_limiter.pause_site(
                    required_pause_seconds(reply, None) or self.site.cool_down_seconds, found
                )
            case FailureKind.KEY:
                remedy = self.site.key.remedy if self.site.key else "see the source's manual"
                return SettingsError(
                    self.site.setting("key"), f"a key that gets {found}", f"one {self.site.title} takes", remedy
                )
            case FailureKind.CONTACT:
                return SettingsError(
                    self.site.setting("contact"), found, f"a contact that {self.site.title} takes", "correct it"
                )
        return RequestRejectedError(place, redacted(failure.code), redacted(" ".join(failure.message.split())))

    def place(self, path: str, params: Params) -> str:
        """The address as it may be shown: without our key."""
        query = f"?{urlencode(params, safe=',:/')}" if params else ""
        return redacted(f"{self._endpoint.origin}{self._endpoint.base}{path}{query}")

    def _key_parameter(self) -> dict[str, str]:
        rule = self.site.key
        if self._endpoint.key is None or rule is None or not isinstance(rule.place, InParameter):
            return {}
        return {rule.place.name: self._endpoint.key}

    def _key_header(self) -> dict[str, str]:
        rule = self.site.key
        if self._endpoint.key is None or rule is None or not isinstance(rule.place, InHeader):
            return {}
        return {rule.place.name: rule.place.form.format(self._endpoint.key)}

    @property
    def _check_address(self) -> str:
        return f"check {self.site.setting('url')}, or whether {self.site.title} has changed its responses"


def quoted(body: bytes) -> str:
    """The beginning of `body` on one line that can be printed."""
    text = " ".join(body[: 4 * LONGEST_QUOTE_CHARACTERS].decode("utf-8", "replace").split())
    shown = "".join(c if c.isprintable() else repr(c)[1:-1] for c in redacted(text)[:LONGEST_QUOTE_CHARACTERS])
    return repr(shown + ("..." if len(text) > LONGEST_QUOTE_CHARACTERS else "")) if shown else "with nothing in it"


def _if_changed(kept: RawResponse | None) -> dict[str, str]:
    """Headers for a response that may be unchanged; a value that could not be sent back is left out."""
    names = {"etag": "If-None-Match", "last-modified": "If-Modified-Since"}
    stated = {} if kept is None else {names[name]: text for name, text in kept.headers.items() if name in names}
    return {header: text for header, text in stated.items() if text.isprintable()}


def _unchanged(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _retryable(parse: Callable[[RawResponse, str], Kind]) -> Callable[[RawResponse, str], Kind]:
    """`parse`, whose `ValueError` means that the response broke off or is of something in between."""

    def parsed(reply: RawResponse, place: str) -> Kind:
        try:
            return parse(reply, place)
        except ValueError as error:
            found = redacted(str(error))
        raise _RetryableError(f"{place}: found {found}, expected a complete response; try again later")

    return parsed
