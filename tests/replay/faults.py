"""What can go wrong with a request, by name."""

from dataclasses import dataclass
from typing import Final

from tests.replay.site import ReplayResponse

ALWAYS: Final = 10**9

HTML_429: Final = b"<html><head><title>429 Too Many Requests</title></head><body><h1>429</h1></body></html>"
HTML_403: Final = b"<html><head><title>Request Rate Threshold Exceeded</title></head><body>403</body></html>"
PORTAL: Final = b"<html><body>Welcome! Please accept our terms to use this network.</body></html>"

WHOLE_RESPONSES: Final = {
    "429 html": ReplayResponse(429, HTML_429, "text/html"),
    "429 retry-after": ReplayResponse(429, HTML_429, "text/html", {"Retry-After": "2"}),
    "429 come back tomorrow": ReplayResponse(429, HTML_429, "text/html", {"Retry-After": "86400"}),
    "403 html": ReplayResponse(403, HTML_403, "text/html"),
    "503 text": ReplayResponse(503, b"upstream connect error or disconnect/reset before headers", "text/plain"),
    "500 json": ReplayResponse(500, b'{"message": "internal error"}', "application/json"),
    "wrong type": ReplayResponse(200, PORTAL, "text/html"),
    "html as json": ReplayResponse(200, PORTAL, "application/json"),
    "empty": ReplayResponse(200, b"", "application/json"),
    "other shape": ReplayResponse(200, b'{"nothing": ["of", "the", "kind"]}', "application/json"),
    "redirect elsewhere": ReplayResponse(302, b"", "text/html", {"Location": "http://elsewhere.invalid/landing"}),
}
"""Faults that are a whole response; a site may have its own for any of them."""

FAULTS: Final = (*WHOLE_RESPONSES, "200 error object", "truncated", "cut json", "slow", "silent", "reset")
"""Of these `truncated` ends before its stated length, `cut json` states the length it has, `slow` sends single bytes,
`silent` sends nothing, and `reset` cuts the connection."""


@dataclass
class Fault:
    """`kind` (of `FAULTS`, or one that the site adds in its `flavours`) happens to `times` requests of
    `site` from its `first` on, counted from 1."""

    kind: str
    site: str
    first: int = 1
    times: int = 1

    def meets(self, number: int) -> bool:
        return self.first <= number < self.first + self.times
