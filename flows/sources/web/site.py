"""What is known of a hosted source before the first request: its address, its rate limits, how it reports errors."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from typing import Final, TypeVar

import msgspec

from flows.sources.decoders import decoder
from flows.sources.kinds import variable
from schemas.errors import SettingsError

MEBIBYTE: Final = 1024**2
Shape = TypeVar("Shape")


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `requests_count` requests in any `window_seconds`, as the source documents it."""

    requests_count: int
    window_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How long to wait for a response, and how often to retry.

    `attempts_count` counts every attempt at one response, `limited_count` those that met a rate limit: the last of
    these pauses the site for its `cool_down_seconds`. A Retry-After above `longest_pause_seconds` pauses it at once.
    """

    connect_seconds: float = 10
    read_seconds: float = 30
    whole_seconds: float = 90
    attempts_count: int = 4
    limited_count: int = 2
    first_pause_seconds: float = 1
    longest_pause_seconds: float = 60


@dataclass(frozen=True, slots=True)
class InHeader:
    """A key in a header: `form` is what surrounds it."""

    name: str
    form: str = "{}"


@dataclass(frozen=True, slots=True)
class InParameter:
    """A key that is part of the address, which therefore must never be shown whole."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """Where a request carries the key. `needed`: every request without one is rejected; `remedy`: how to get one."""

    place: InHeader | InParameter
    needed: bool
    remedy: str


@dataclass(frozen=True, slots=True)
class RawResponse:
    """One HTTP response, read whole. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def content_type(self) -> str:
        """The media type without its parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    def json(self, shape: type[Shape]) -> Shape | None:
        """The body as JSON of that shape, None where it is anything else."""
        try:
            return decoder(shape).decode(self.body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None


class FailureKind(Enum):
    """What a response that reports an error means for us."""

    TRANSIENT = auto()
    """A retry may help."""
    RATE_LIMITED = auto()
    """Too many requests: pause and retry, and pause the source if that recurs."""
    BLOCKED = auto()
    """We are blocked for a while, and further requests prolong it."""
    KEY = auto()
    """The key is missing, wrong, or of a plan that does not reach this far."""
    CONTACT = auto()
    """The source requires a contact address."""
    REJECTED = auto()
    """This request will never succeed; others may."""


@dataclass(frozen=True, slots=True)
class Failure:
    """An error that a response reports: `code` is the source's own or the status, `message` its own sentence."""

    kind: FailureKind
    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """One hosted source.

    `limits` are the documented ones; requests are evenly spaced, at `share` of the strictest. `classify` looks at every
    response, whatever its status, for the way this source reports errors; where it returns None, the status decides.
    `conditional`: the source offers ETag or Last-Modified, so that cached responses can be revalidated. `part`: which
    of several hosts of one source this is; sites of the same `name` share one rate limit, one pause and one contact,
    and each part has an address of its own.
    """

    name: str
    title: str
    address: str
    limits: tuple[Limit, ...]
    share: float = 0.8
    key: Key | None = None
    contact_needed: bool = False
    conditional: bool = False
    content_types: tuple[str, ...] = ("application/json",)
    headers: Mapping[str, str] = field(default_factory=dict)
    reset_header: str | None = None
    limited_pause_seconds: float = 10
    cool_down_seconds: float = 600
    largest_response_bytes: int = 32 * MEBIBYTE
    retry_policy: RetryPolicy = field(default_factory=RetryPolicy)
    classify: Callable[[RawResponse], Failure | None] | None = None
    part: str | None = None

    @property
    def spacing_seconds(self) -> float:
        """Least time between two requests."""
        return max(each.window_seconds / (each.requests_count * self.share) for each in self.limits)

    def of_one_reader(self, readers_count: int) -> "Site":
        """The site as one of `readers_count` may use it: in any window all of them send at most `share` of each limit.

        Each may send as soon as the others do. Raises `SettingsError` where that alone is too much.
        """
        allowed = [int(limit.requests_count * self.share) for limit in self.limits]
        if min(allowed) < readers_count:
            found = f"{readers_count} readers at once"
            raise SettingsError(self.title, found, f"at most {min(allowed)}, its rate limit", "use fewer workers")
        limits = [
            replace(limit, requests_count=count // readers_count)
            for limit, count in zip(self.limits, allowed, strict=True)
        ]
        return replace(self, limits=tuple(limits), share=1)

    def setting(self, what: str) -> str:
        """Name of the setting that holds our `url`, `key` or `contact` for this source."""
        return variable(self.name, f"{self.part}_{what}" if self.part and what == "url" else what)
