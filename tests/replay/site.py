"""What one replayed source is: its rules as its documentation states them, written without a look at our client."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Limit:
    requests_count: int
    window_seconds: float


@dataclass(frozen=True)
class ReplayRequest:
    """One request as it arrived. `path` is what follows the site's prefix; header names are in lower case."""

    site: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    target: str
    at: float


@dataclass(frozen=True)
class ReplayResponse:
    status: int = 200
    body: bytes = b""
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


def json_response(value: Any, status: int = 200, **headers: str) -> ReplayResponse:
    return ReplayResponse(status, json.dumps(value).encode(), "application/json", headers)


class ReplaySite:
    """One source. A module of `tests/replay/sites` has one subclass, and is found by being there.

    `settings`: variables that point hashpivot at it; `{base}` stands for the address of the prefix, `{secret}` for the
    key. The key may travel in `secret_header` or `secret_parameter` and nowhere else. `error_object`: what this source
    sends with HTTP 200 where it means an error. `flavours`: responses of this source for kinds of faults, where they
    differ from the usual ones. `switches`: what a person or a test can change while the server runs.
    """

    name: str
    prefix: str
    limits: tuple[Limit, ...]
    settings: Mapping[str, str]
    secret: str | None = None
    secret_header: str | None = None
    secret_parameter: str | None = None
    key_needed = False
    contact_needed = False
    cool_down_seconds: float = 0
    """After a fault of the kind `403 html`, any request within this time breaks a rule."""

    def __init__(self) -> None:
        self.switches: dict[str, Callable[[], None]] = {}
        self.flavours: dict[str, ReplayResponse] = {}

    def prepare(self) -> None:
        """Make what would take longer than a response may, before the server starts."""

    def error_object(self) -> ReplayResponse:
        return json_response({"error": "something went wrong"})

    def respond(self, request: ReplayRequest, base: str) -> ReplayResponse | None:
        """The response, or None for a request that the documentation does not know. `base`: address of the prefix."""
        raise NotImplementedError
