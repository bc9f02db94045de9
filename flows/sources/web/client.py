"""Requests to one site: paced, counted, bounded, tried again, and never with a secret in what they say.

Every request only reads, so a second one does no harm. Library errors become ours session of the place where they were
caught: an exception of `requests` holds the address with its key, and would otherwise hang on ours as its context.
"""

import time
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar, cast
from urllib.parse import urlencode, urljoin, urlsplit

import msgspec
import requests
from requests.adapters import HTTPAdapter
from tenacity import RetryCallState, Retrying, retry_if_exception_type, wait_exponential, wait_random
from urllib3.exceptions import HTTPError

from flows.sources.web.access import Endpoint
from flows.sources.web.rate_limit import RateLimiter
from flows.sources.web.responses import CachedResponses
from flows.sources.web.secrets import redacted
from flows.sources.web.site import Failure, FailureKind, InHeader, InParameter, RawResponse, Site
from schemas.errors import BadInputError, HashpivotError, RequestRejectedError, SettingsError, TransientError

if TYPE_CHECKING:
    from flows.sources.web.session import WebSession

CHUNK_BYTES: Final = 64 * 1024
LONGEST_QUOTE_CHARACTERS: Final = 120
LONGEST_PLACE_CHARACTERS: Final = 140
MOST_REDIRECTS_COUNT: Final = 3
MOST_CONNECTIONS_COUNT: Final = 4
PROGRESS_SECONDS: Final = 5
REDIRECTS: Final = (301, 302, 303, 307, 308)
PASSING_STATUS: Final = (408, 425, 500, 502, 503, 504, 520, 521, 522, 523, 524)
"""The last five are those of a content network whose origin does not answer."""
UNCHANGED: Final = 304
NO_CONNECTION: Final = {
    "NewConnectionError": "nobody who listens there",
    "NameResolutionError": "a host that nobody knows",
    "ConnectTimeoutError": "no connection in time",
    "SSLError": "a certificate that cannot be trusted",
    "ProxyError": "a proxy that does not let us through",
}
"""Errors of urllib3 by name, in words."""

Kind = TypeVar("Kind")
Params = Mapping[str, str | int]


@dataclass(frozen=True, slots=True)
class Response(Generic[Kind]):
    """What a site said: decoded, with the address it was asked at (no secrets) and the digest of its bytes."""

    value: Kind
    origin: str
    sha256: str


class _PassingError(TransientError):
    """A failure that another try may mend; `pause_seconds` is what the site asked for."""

    def __init__(self, message: str, *, pause_seconds: float | None = None, limited: bool = False) -> None:
        self.pause_seconds, self.limited = pause_seconds, limited
        super().__init__(message)


class Client:
    """The way to one site. Safe to use from several threads; made by `WebSession.client`."""

    def __init__(
        self, site: Site, endpoint: Endpoint, session: "WebSession", pace: RateLimiter, answers: CachedResponses
    ) -> None:
        self.site, self.session = site, session
        self._door, self._pace, self._answers = endpoint, pace, answers
        self._told_at = time.monotonic()
        self._session = requests.Session()
        # Proxies of the environment count, ~/.netrc does not: a set `auth` keeps it from being looked at.
        self._session.auth = endpoint.login or _as_it_is
        self._session.headers.update({"User-Agent": endpoint.user_agent, "Accept": ", ".join(site.content_types)})
        self._session.headers.update(site.headers)
        adapter = HTTPAdapter(pool_connections=1, pool_maxsize=MOST_CONNECTIONS_COUNT, pool_block=True, max_retries=0)
        self._session.mount("http://", adapter)
        self._session.mount("https://", adapter)

    def raise_if_paused(self) -> None:
        """Raise `SourcePausedError` while the site has had enough of us; asks nothing."""
        self._pace.raise_if_paused()

    def close(self) -> None:
        """Close every connection."""
        self._session.close()
        self._pace.close()

    def json(self, path: str, params: Params, kind: type[Kind]) -> Response[Kind]:
        """The JSON answer at `path` under the base address, decoded into `kind`; `Decimal` there is exact.

        Raises `TransientError` where patience ran out, `SourcePausedError` where the site has had enough of us,
        `RequestRejectedError` for a request that it refuses, `BadInputError` for an answer that cannot be believed,
        `SettingsError` for a key or a contact that it does not take, `RequestBudgetError` before a request too many.
        """
        decoder = _decoder(cast(Hashable, kind))

        def decoded(reply: RawResponse, place: str) -> Kind:
            try:
                return cast(Kind, decoder.decode(reply.body))
            except msgspec.ValidationError as error:
                problem: HashpivotError = BadInputError(
                    place, redacted(str(error)), f"an answer as {self.site.title} documents it", self._check_address
                )
            except (msgspec.DecodeError, UnicodeDecodeError):
                problem = _PassingError(
                    f"{place}: found {len(reply.body):,} bytes of JSON that break off or are damaged, "
                    "expected a whole answer; try again later"
                )
            except RecursionError:
                problem = BadInputError(place, "JSON nested without end", "an answer", self._check_address)
            raise problem

        return self._patiently(path, params, decoded)

    def text(self, path: str, params: Params) -> Response[str]:
        """The answer at `path` as text. Raises as `json`."""
        return self._patiently(path, params, lambda reply, _: reply.body.decode("utf-8", "replace"))

    def _patiently(self, path: str, params: Params, decoded: Any) -> Response[Any]:
        origin = self.place(path, params)
        place = origin if len(origin) <= LONGEST_PLACE_CHARACTERS else f"{origin[:LONGEST_PLACE_CHARACTERS]}..."
        patience, scale = self.site.patience, self.session.time_scale
        limited_count = 0

        def attempt() -> Response[Any]:
            nonlocal limited_count
            try:
                reply = self._reply(path, params, place, origin)
                return Response(decoded(reply, place), origin, sha256(reply.body).hexdigest())
            except _PassingError as error:
                limited_count += error.limited
                raise

        def stop(state: RetryCallState) -> bool:
            return state.attempt_number >= patience.attempts_count or limited_count >= patience.limited_count

        growing = wait_exponential(patience.first_pause_seconds, patience.longest_pause_seconds) + wait_random(
            0, patience.first_pause_seconds
        )

        def pause(state: RetryCallState) -> float:
            error = state.outcome.exception() if state.outcome else None
            asked = error.pause_seconds if isinstance(error, _PassingError) else None
            return scale * (growing(state) if asked is None else asked + growing(state) / 4)

        def tell(state: RetryCallState) -> None:
            seconds = state.next_action.sleep if state.next_action else 0
            self.session.usage.add(self.site.name, retries=1, waited_seconds=seconds)
            self.session.tell(f"trying again in {seconds:.1f} s after {state.outcome and state.outcome.exception()}")

        try:
            return Retrying(
                retry=retry_if_exception_type(_PassingError), stop=stop, wait=pause, before_sleep=tell, reraise=True
            )(attempt)
        except _PassingError as error:
            given_up = TransientError(str(error))
            if error.limited:
                why = f"a rate limit met {limited_count} times"
                given_up = self._pace.pause_site(max(self.site.cool_down_seconds, error.pause_seconds or 0), why)
        raise given_up

    def _reply(self, path: str, params: Params, place: str, origin: str) -> RawResponse:
        """One answer that is one: redirects of the site itself followed, refusals raised."""
        url = self._door.origin + self._door.base + path
        query = dict(params)
        kept = self._answers.get(origin) if self.site.conditional else None
        for _ in range(MOST_REDIRECTS_COUNT + 1):
            reply = self._exchange(url, query, place, kept)
            if reply.status not in REDIRECTS:
                break
            url, query = self._redirected(url, reply, place), {}
        else:
            raise BadInputError(place, f"more than {MOST_REDIRECTS_COUNT} redirects", "an answer", self._check_address)
        if kept is not None and reply.status == UNCHANGED:
            self.session.usage.add(self.site.name, unchanged=1)
            return kept
        problem = (self.site.explain(reply) if self.site.explain else None) or self._by_status(reply)
        if problem is not None:
            raise self._error(place, problem, reply)
        if reply.content_type not in self.site.content_types:
            raise BadInputError(
                place,
                f"{reply.content_type or 'an untyped body'} {quoted(reply.body)}",
                " or ".join(self.site.content_types),
                self._check_address,
            )
        if self.site.conditional:
            self._answers.put(origin, reply)
        return reply

    def _exchange(self, url: str, query: Params, place: str, kept: RawResponse | None) -> RawResponse:
        """One request and its answer, whatever that is. Raises `_PassingError` where there is none."""
        self._pace.raise_if_paused()
        self.session.usage.spend(self.site.name, place)
        self.session.usage.add(self.site.name, waited_seconds=self._pace.wait(self.session.tell))
        self._tell_progress()
        patience, scale = self.site.patience, self.session.time_scale
        deadline = time.monotonic() + patience.whole_seconds * scale
        try:
            with self._session.get(
                url,
                params={**query, **self._key_parameter()},
                headers={**_if_changed(kept), **self._key_header()},
                timeout=(patience.connect_seconds * scale, patience.read_seconds * scale),
                allow_redirects=False,
                stream=True,
            ) as response:
                headers = {name.lower(): value for name, value in response.headers.items()}
                return RawResponse(response.status_code, headers, self._whole(place, response, deadline))
        except (requests.exceptions.Timeout, TimeoutError):
            found = f"no whole answer within {patience.read_seconds:g} s a part and {patience.whole_seconds:g} s in all"
        except requests.exceptions.InvalidURL:
            found = "an address that cannot be asked"
        except (requests.exceptions.RequestException, HTTPError, OSError) as error:
            # Only the kind of the error: its text quotes the address, which may hold the key.
            inner = error.args[0] if error.args and isinstance(error.args[0], Exception) else error
            kind = type(getattr(inner, "reason", None) or inner).__name__
            found = NO_CONNECTION.get(kind) or ("an answer slower than a part in time" if "Timeout" in kind else kind)
        raise _PassingError(f"{place}: found {found}, expected an answer; see that the address can be reached")

    def _tell_progress(self) -> None:
        """Say every few seconds how far this source is, so that a long read does not look like a stopped one."""
        if time.monotonic() - self._told_at >= PROGRESS_SECONDS * self.session.time_scale:
            self._told_at = time.monotonic()
            used = self.session.usage.by_site[self.site.name]
            self.session.tell(
                f"{self.site.title}: {used.requests_count:,} requests, {used.received_bytes / 1e6:,.1f} MB so far"
            )

    def _whole(self, place: str, response: requests.Response, deadline: float) -> bytes:
        """The body, given up as soon as it is longer or slower than any answer we ask for."""
        most = self.site.largest_response_bytes
        stated = response.headers.get("Content-Length", "")
        received = bytearray()
        size_bytes = int(stated) if stated.isascii() and stated.isdigit() else 0
        while size_bytes <= most and len(received) <= most:
            # Of `read`, one call gathers a whole chunk, however slowly it drips; `read1` takes what is there.
            part = response.raw.read1(CHUNK_BYTES, decode_content=True)
            if not part:
                self.session.usage.add(self.site.name, received_bytes=len(received))
                return bytes(received)
            received += part
            if time.monotonic() > deadline:
                raise TimeoutError
        self.session.usage.add(self.site.name, received_bytes=len(received))
        found = f"an answer of {max(size_bytes, len(received)):,} bytes or more"
        raise BadInputError(place, found, f"at most {most:,}", self._check_address)

    def _redirected(self, url: str, reply: RawResponse, place: str) -> str:
        """Where the site sends us, if it is still the same site."""
        target = urljoin(url, reply.headers.get("location", ""))
        if f"{urlsplit(target).scheme}://{urlsplit(target).netloc}" != self._door.origin:
            found = redacted(f"a redirect to {urlsplit(target).hostname or 'nowhere'}")
            raise BadInputError(place, found, f"an answer of {self._door.origin} itself", self._check_address)
        return target

    def _by_status(self, reply: RawResponse) -> Failure | None:
        status = reply.status
        if status == requests.codes.ok:
            return None
        trouble = FailureKind.REFUSED
        if status == requests.codes.too_many_requests:
            trouble = FailureKind.RATE_LIMITED
        elif status in PASSING_STATUS:
            trouble = FailureKind.TRANSIENT
        elif status == requests.codes.unauthorized and self.site.key:
            trouble = FailureKind.KEY
        return Failure(trouble, f"HTTP {status}", quoted(reply.body))

    def _error(self, place: str, problem: Failure, reply: RawResponse) -> HashpivotError:
        told = redacted(" ".join(f"{problem.kind} {problem.message}".split()))[: 2 * LONGEST_QUOTE_CHARACTERS]
        match problem.trouble:
            case FailureKind.TRANSIENT | FailureKind.RATE_LIMITED:
                limited = problem.trouble is FailureKind.RATE_LIMITED
                pause_seconds = _asked_pause(reply, self.site.reset_header)
                if pause_seconds is not None and pause_seconds > self.site.patience.longest_pause_seconds:
                    return self._pace.pause_site(pause_seconds, told)
                if pause_seconds is None and limited:
                    pause_seconds = self.site.limited_pause_seconds
                message = f"{place}: found {told}, expected an answer; try again later"
                return _PassingError(message, pause_seconds=pause_seconds, limited=limited)
            case FailureKind.BLOCKED:
                return self._pace.pause_site(_asked_pause(reply, None) or self.site.cool_down_seconds, told)
            case FailureKind.KEY:
                remedy = self.site.key.remedy if self.site.key else "see the source's manual"
                return SettingsError(
                    self.site.setting("key"), f"a key that gets {told}", f"one {self.site.title} takes", remedy
                )
            case FailureKind.CONTACT:
                return SettingsError(
                    self.site.setting("contact"), told, f"a contact that {self.site.title} takes", "correct it"
                )
        return RequestRejectedError(place, redacted(problem.kind), redacted(" ".join(problem.message.split())))

    def place(self, path: str, params: Params) -> str:
        """The address as it may be shown: without our key."""
        query = f"?{urlencode(params, safe=',:/')}" if params else ""
        return redacted(f"{self._door.origin}{self._door.base}{path}{query}")

    def _key_parameter(self) -> dict[str, str]:
        rule = self.site.key
        if self._door.key is None or rule is None or not isinstance(rule.place, InParameter):
            return {}
        return {rule.place.name: self._door.key}

    def _key_header(self) -> dict[str, str]:
        rule = self.site.key
        if self._door.key is None or rule is None or not isinstance(rule.place, InHeader):
            return {}
        return {rule.place.name: rule.place.form.format(self._door.key)}

    @property
    def _check_address(self) -> str:
        return f"check {self.site.setting('url')}, or whether {self.site.title} has changed its answers"


def quoted(body: bytes) -> str:
    """The beginning of `body` on one line that can be printed."""
    text = " ".join(body[: 4 * LONGEST_QUOTE_CHARACTERS].decode("utf-8", "replace").split())
    shown = "".join(c if c.isprintable() else repr(c)[1:-1] for c in redacted(text)[:LONGEST_QUOTE_CHARACTERS])
    return repr(shown + ("..." if len(text) > LONGEST_QUOTE_CHARACTERS else "")) if shown else "with nothing in it"


def _asked_pause(reply: RawResponse, reset_header: str | None) -> float | None:
    """Seconds the site wants us to wait, from Retry-After (seconds or a date) or from its own header."""
    for stated in (reply.headers.get("retry-after"), reset_header and reply.headers.get(reset_header.lower())):
        if not stated:
            continue
        if stated.strip().isascii() and stated.strip().isdigit():
            return float(stated)
        try:
            at = parsedate_to_datetime(stated)
        except ValueError:
            continue
        return max((at.replace(tzinfo=at.tzinfo or UTC) - datetime.now(UTC)).total_seconds(), 0.0)
    return None


def _if_changed(kept: RawResponse | None) -> dict[str, str]:
    names = {"etag": "If-None-Match", "last-modified": "If-Modified-Since"}
    return {} if kept is None else {asked: kept.headers[name] for name, asked in names.items() if name in kept.headers}


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


@cache
def _decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)
