"""Where the exchanges' public interfaces are, how fast they may be asked and how they say no.

Sources: https://docs.cdp.coinbase.com/exchange/reference/, https://docs.kraken.com/api/,
https://developers.binance.com/docs/binance-spot-api-docs, https://www.bitstamp.net/api/. Coinbase and Kraken speak of
"about" their limits, so they are asked at half of them; Bitstamp is asked once a second, as we have no number.
"""

from typing import Final

import msgspec

from flows.sources.web.site import Failure, FailureKind, Limit, RawResponse, Site

_UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_KRAKEN_TROUBLES: Final = {
    "EGeneral:Too many requests": FailureKind.RATE_LIMITED,
    "EAPI:Rate limit exceeded": FailureKind.RATE_LIMITED,
    "EGeneral:Temporary lockout": FailureKind.BLOCKED,
    "EGeneral:Internal error": FailureKind.TRANSIENT,
    "EService:Unavailable": FailureKind.TRANSIENT,
    "EService:Busy": FailureKind.TRANSIENT,
    "EService:Timeout": FailureKind.TRANSIENT,
}
GEO_BLOCKED: Final = "geo-blocked"
_BINANCE_TOO_MANY: Final = -1003


class _KrakenErrors(msgspec.Struct):
    error: list[str]


class _BinanceError(msgspec.Struct):
    code: int
    msg: str = ""


class _BitstampError(msgspec.Struct):
    status: str
    reason: str | dict[str, list[str]] = ""
    code: str = "error"


def explain_kraken(reply: RawResponse) -> Failure | None:
    """Kraken's list of errors, which comes with the status 200. One that begins with W is a warning alone."""
    try:
        errors = msgspec.json.decode(reply.body, type=_KrakenErrors).error
    except _UNREADABLE:
        return None
    for error in errors:
        if not error.startswith("W"):
            return Failure(_KRAKEN_TROUBLES.get(error, FailureKind.REFUSED), error, "")
    return None


def explain_binance(reply: RawResponse) -> Failure | None:
    """Binance's code and message, and the two statuses that nobody else has."""
    try:
        error = msgspec.json.decode(reply.body, type=_BinanceError)
    except _UNREADABLE:
        error = None
    message = error.msg if error else ""
    if reply.status == 451:
        return Failure(FailureKind.REFUSED, GEO_BLOCKED, f"{message} Take binance out of the profile here.".strip())
    if reply.status == 418:
        return Failure(FailureKind.BLOCKED, "HTTP 418", message)
    if error is None:
        return None
    return Failure(
        FailureKind.RATE_LIMITED if error.code == _BINANCE_TOO_MANY else FailureKind.REFUSED, str(error.code), message
    )


def explain_bitstamp(reply: RawResponse) -> Failure | None:
    """Bitstamp's error object with status 200; with any other status that status decides."""
    try:
        error = msgspec.json.decode(reply.body, type=_BitstampError)
    except _UNREADABLE:
        return None
    return Failure(FailureKind.REFUSED, error.code, str(error.reason)) if reply.status == 200 else None


COINBASE: Final = Site(
    name="coinbase",
    title="Coinbase Exchange",
    address="https://api.exchange.coinbase.com",
    limits=(Limit(10, 1),),
    share=0.5,
)
KRAKEN: Final = Site(
    name="kraken",
    title="Kraken",
    address="https://api.kraken.com/0",
    limits=(Limit(1, 1),),
    share=0.5,
    cool_down_seconds=900,
    explain=explain_kraken,
)
BINANCE: Final = Site(
    name="binance",
    title="Binance",
    # The same candles as api.binance.com, from a host that has no accounts.
    address="https://data-api.binance.vision/api/v3",
    # 6,000 of weight a minute, of which candles weigh 2; others behind the same address spend of it too.
    limits=(Limit(3_000, 60),),
    share=0.1,
    explain=explain_binance,
)
BITSTAMP: Final = Site(
    name="bitstamp",
    title="Bitstamp",
    address="https://www.bitstamp.net/api/v2",
    limits=(Limit(1, 1),),
    share=1,
    explain=explain_bitstamp,
)
