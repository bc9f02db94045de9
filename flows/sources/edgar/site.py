"""Where EDGAR's two hosts are, their common rate limit and their errors.

Source: https://www.sec.gov/search-filings/edgar-application-programming-interfaces and
https://www.sec.gov/about/webmaster-frequently-asked-questions. Ten requests a second are counted
over all hosts and machines of a user; beyond that, an address is blocked until ten minutes have passed below the limit.
"""

import re
from dataclasses import replace
from typing import Final

from flows.sources.edgar.kind import EDGAR
from flows.sources.web.site import MEBIBYTE, Failure, FailureKind, Limit, RawResponse, Site

HTML: Final = ("text/html", "application/xhtml+xml")
TAIL_BYTES: Final = 4096
"""Where a whole page closes its `html` element; a note of whoever converted it may follow."""

_OK, _FORBIDDEN = 200, 403
_TITLE: Final = re.compile(rb"<title[^<>]{0,100}>([^<>]{0,300})", re.IGNORECASE)
_UNDECLARED: Final = b"undeclared automated tool"
_BETWEEN: Final = rb"(?:\s|&nbsp;|&#160;|&#xa0;|\xc2\xa0|\xa0|<[^<>]{0,500}>)+"
_COVER: Final = re.compile(
    _BETWEEN.join([rb"securities", rb"(?:and|&amp;|&)", rb"exchange", rb"commission"]), re.IGNORECASE
)
"""Every form names the Commission on its cover. Tags may stand between the words."""


def classify(reply: RawResponse) -> Failure | None:
    """Two pages come with the status 403, distinguished by their titles; of any other page we take the worse.

    A document that is not there gets 404, sometimes 403, as XML: the status is enough.
    """
    if reply.status != _FORBIDDEN or reply.content_type not in HTML:
        return None
    title = _TITLE.search(reply.body)
    shown = " ".join(title[1].decode("utf-8", "replace").split()) if title else "a page without a title"
    trouble = FailureKind.CONTACT if _UNDECLARED in shown.lower().encode() else FailureKind.BLOCKED
    return Failure(trouble, f"HTTP {reply.status}", shown)


def classify_document(reply: RawResponse) -> Failure | None:
    """The same, and a page that is not the whole document of a filing, though the status says so."""
    if reply.status != _OK:
        return classify(reply)
    if reply.content_type not in HTML:
        found = f"{reply.content_type or 'an untyped body'} where a filing should be"
    elif not _COVER.search(reply.body):
        found = "a page that is no filing, as it does not name the Commission"
    elif b"</html" not in reply.body[-TAIL_BYTES:].lower():
        found = f"a filing that breaks off after {len(reply.body):,} bytes"
    else:
        return None
    return Failure(FailureKind.TRANSIENT, f"HTTP {reply.status}", found)


DATA: Final = Site(
    name=EDGAR.name,
    title="SEC EDGAR",
    address="https://data.sec.gov",
    limits=(Limit(10, 1),),
    # Other programs of the same user count too.
    share=0.5,
    contact_needed=True,
    headers={"Accept-Encoding": "gzip, deflate"},
    cool_down_seconds=660,
    classify=classify,
)
ARCHIVE: Final = replace(
    DATA,
    part="archive",
    address="https://www.sec.gov/Archives",
    content_types=HTML,
    # An annual report with its tags has some 5 to 20 MB.
    largest_response_bytes=64 * MEBIBYTE,
    classify=classify_document,
)
