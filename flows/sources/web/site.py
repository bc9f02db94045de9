"""What is known of a hosted source before it is asked: where it is, how fast it may be asked, how it says no."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final

import msgspec

from flows.sources.kinds import variable

MEBIBYTE: Final = 1024**2
UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What decoding of a body that is no JSON, or other JSON than expected, may raise."""


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `requests_count` requests in any `window_seconds`, as the source documents it."""

    requests_count: int
    window_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How long to wait for an answer, and how often to ask for it.

    `attempts_count` counts every try at one answer, `limited_count` those that met a rate limit: the last of these
    closes the site for its `cool_down_seconds`. A longer Retry-After than `longest_pause_seconds` closes it at once.
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
    """A key that travels in a header: `form` is what surrounds it."""

    name: str
    form: str = "{}"


@dataclass(frozen=True, slots=True)
class InParameter:
    """A key that travels in the address, and so must never be shown with it."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """How the source is told who asks. `needed`: it answers nobody without one; `remedy`: how to get one."""

    place: InHeader | InParameter
    needed: bool
    remedy: str


@dataclass(frozen=True, slots=True)
class RawResponse:
    """One HTTP answer, read whole. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def content_type(self) -> str:
        """The media type without its parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


class FailureKind(Enum):
    """What an answer that is none means for us."""

    TRANSIENT = auto()
    """Another try may help."""
    RATE_LIMITED = auto()
    """We ask too fast: pause, then try again, and soon leave the source alone."""
    BLOCKED = auto()
    """We are shut out for a while, and asking again prolongs it."""
    KEY = auto()
    """The key is missing, wrong, or of a plan that does not reach this far."""
    CONTACT = auto()
    """The source wants to know whom to write to."""
    REFUSED = auto()
    """This request will never be answered; others may be."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an answer is none: `kind` is the source's own word or the status, `message` its own sentence."""

    trouble: FailureKind
    kind: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """One hosted source.

    `limits` are the documented ones; we ask evenly spaced, at `share` of the strictest. `explain` looks at every
    answer, whatever its status, for the way this source tells errors; where it has no opinion, the status decides.
    `conditional`: the source offers ETag or Last-Modified, so that unchanged answers cost it nothing. `part`: which of
    several hosts of one source this is; sites of the same `name` have one queue, one closed sign and one contact, and
    each part an address of its own.
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
    patience: RetryPolicy = field(default_factory=RetryPolicy)
    explain: Callable[[RawResponse], Failure | None] | None = None
    part: str | None = None

    @property
    def spacing_seconds(self) -> float:
        """Least time between two requests."""
        return max(each.window_seconds / (each.requests_count * self.share) for each in self.limits)

    def setting(self, what: str) -> str:
        """Name of the setting that holds our `url`, `key` or `contact` for this source."""
        return variable(self.name, f"{self.part}_{what}" if self.part and what == "url" else what)
