"""What can go wrong with a request, by name."""

from dataclasses import dataclass
from typing import Final

from tests.replay.site import Said

ALWAYS: Final = 10**9

HTML_429: Final = b"<html><head><title>429 Too Many Requests</title></head><body><h1>429</h1></body></html>"
HTML_403: Final = b"<html><head><title>Request Rate Threshold Exceeded</title></head><body>403</body></html>"
PORTAL: Final = b"<html><body>Welcome! Please accept our terms to use this network.</body></html>"

WHOLE_ANSWERS: Final = {
    "429 html": Said(429, HTML_429, "text/html"),
    "429 retry-after": Said(429, HTML_429, "text/html", {"Retry-After": "2"}),
    "429 come back tomorrow": Said(429, HTML_429, "text/html", {"Retry-After": "86400"}),
    "403 html": Said(403, HTML_403, "text/html"),
    "503 text": Said(503, b"upstream connect error or disconnect/reset before headers", "text/plain"),
    "500 json": Said(500, b'{"message": "internal error"}', "application/json"),
    "wrong type": Said(200, PORTAL, "text/html"),
    "html as json": Said(200, PORTAL, "application/json"),
    "empty": Said(200, b"", "application/json"),
    "other shape": Said(200, b'{"nothing": ["of", "the", "kind"]}', "application/json"),
    "redirect elsewhere": Said(302, b"", "text/html", {"Location": "http://elsewhere.invalid/landing"}),
}
"""Faults that are an answer by themselves; a site may have its own for any of them."""

FAULTS: Final = (*WHOLE_ANSWERS, "200 error object", "truncated", "cut json", "slow", "silent", "reset")
"""Of these `truncated` ends before its stated length, `cut json` states the length it has, `slow` drips on and on,
`silent` says nothing, and `reset` cuts the connection."""


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
