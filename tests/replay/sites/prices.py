"""Exchanges' daily candles over the invented market of Coin Metrics' double, each venue a little beside it.

Sources: https://docs.cdp.coinbase.com/exchange/reference/, https://docs.kraken.com/api/,
https://developers.binance.com/docs/binance-spot-api-docs, https://www.bitstamp.net/api/. Ranges, caps, order and errors
are the venues' own; every one of them shows the running candle.
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta

from tests.replay.site import Limit, ReplayRequest, ReplayResponse, ReplaySite, json_response
from tests.replay.sites.coinmetrics import noise
from tests.replay.sites.coinmetrics import values as fixings

DAY_SECONDS = 86_400
RUNNING_USD = 1.0
"""Close of every running candle, which nobody may take for one of a day."""


def close(venue: str, day: date, today: date) -> float:
    """Within half a percent of the fixing."""
    if day == today:
        return RUNNING_USD
    return round(float(fixings(day)["PriceUSD"] or 0) * (0.995 + 0.01 * noise(day, venue)), 2)


def seconds(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())


def day_of(at: float) -> date:
    return datetime.fromtimestamp(at, UTC).date()


def days(first: date, last: date) -> list[date]:
    return [first + timedelta(days=each) for each in range((last - first).days + 1)]


class CoinbaseReplay(ReplaySite):
    """300 candles a range, newest first; a range may have one more, as both ends count."""

    name = "coinbase"
    prefix = ""
    limits = (Limit(10, 1),)
    settings: Mapping[str, str] = {"HASHPIVOT_COINBASE_URL": "{base}"}
    listed_on = date(2015, 7, 20)

    def __init__(self) -> None:
        super().__init__()
        self.today = datetime.now(UTC).date()
        self.quiet: set[date] = set()
        self.switches = {"next-day": self.next_day}
        self.flavours["429 json"] = json_response({"message": "Public rate limit exceeded"}, 429)

    def next_day(self) -> None:
        self.today += timedelta(days=1)

    def error_object(self) -> ReplayResponse:
        return json_response({"message": "NotFound"})

    def respond(self, request: ReplayRequest, base: str) -> ReplayResponse | None:
        if request.path != "/products/BTC-USD/candles" or set(request.query) - {"granularity", "start", "end"}:
            return None
        if request.query.get("granularity") != str(DAY_SECONDS):
            return json_response({"message": "Unsupported granularity"}, 400)
        if "start" in request.query:
            first, last = (datetime.fromisoformat(request.query[name]) for name in ("start", "end"))
            if (last - first).total_seconds() / DAY_SECONDS > 300:
                message = "granularity too small for the requested time range. Count of aggregations requested exceeds"
                return json_response({"message": f"{message} 300"}, 400)
            shown = days(max(first.date(), self.listed_on), min(last.date(), self.today))
        else:
            shown = days(self.today - timedelta(days=349), self.today)
        return json_response([self._row(day) for day in reversed(shown) if day not in self.quiet])

    def _row(self, day: date) -> list[float]:
        at = close("coinbase", day, self.today)
        return [seconds(day), at * 0.98, at * 1.02, at * 1.01, at, 8123.44120931]


class KrakenReplay(ReplaySite):
    """The last 720 candles after `since`, the running one included; errors come with the status 200."""

    name = "kraken"
    prefix = "/0"
    limits = (Limit(1, 1),)
    settings: Mapping[str, str] = {"HASHPIVOT_KRAKEN_URL": "{base}"}

    def __init__(self) -> None:
        super().__init__()
        self.today = datetime.now(UTC).date()
        self.switches = {"next-day": self.next_day}
        self.flavours["200 too many"] = json_response({"error": ["EGeneral:Too many requests"]})
        self.flavours["200 busy"] = json_response({"error": ["EService:Unavailable"]})
        self.flavours["200 lockout"] = json_response({"error": ["EGeneral:Temporary lockout"]})

    def next_day(self) -> None:
        self.today += timedelta(days=1)

    def error_object(self) -> ReplayResponse:
        return json_response({"error": ["EQuery:Unknown asset pair"]})

    def respond(self, request: ReplayRequest, base: str) -> ReplayResponse | None:
        if request.path != "/public/OHLC" or set(request.query) - {"pair", "interval", "since"}:
            return None
        if request.query.get("pair") != "XBTUSD":
            return self.error_object()
        if request.query.get("interval") != "1440":
            return json_response({"error": ["EGeneral:Invalid arguments"]})
        since = int(request.query.get("since", "0"))
        kept = days(self.today - timedelta(days=719), self.today)
        rows = [self._row(day) for day in kept if seconds(day) > since]
        last = seconds(self.today - timedelta(days=1))
        return json_response({"error": [], "result": {"XXBTZUSD": rows, "last": last}})

    def _row(self, day: date) -> list[int | str]:
        at = close("kraken", day, self.today)
        return [seconds(day), f"{at * 1.01:.1f}", f"{at * 1.02:.1f}", f"{at * 0.98:.1f}", f"{at}", "1.5", "9.25", 312]


class BinanceReplay(ReplaySite):
    """Up to 1,000 candles, oldest first, in milliseconds and USDT."""

    name = "binance"
    prefix = "/api/v3"
    limits = (Limit(3_000, 60),)
    settings: Mapping[str, str] = {"HASHPIVOT_BINANCE_URL": "{base}"}
    listed_on = date(2017, 8, 17)

    def __init__(self) -> None:
        super().__init__()
        self.today = datetime.now(UTC).date()
        self.switches = {"next-day": self.next_day}
        weight = "Too much request weight used; current limit is 6000 request weight per 1 MINUTE."
        self.flavours["429 weight"] = json_response(
            {"code": -1003, "msg": weight}, 429, **{"Retry-After": "12", "x-mbx-used-weight-1m": "6001"}
        )
        banned = "Way too much request weight used; IP banned until 1788998500000."
        self.flavours["418 banned"] = json_response({"code": -1003, "msg": banned}, 418, **{"Retry-After": "120"})
        elsewhere = "Service unavailable from a restricted location according to 'b. Eligibility'."
        self.flavours["451 location"] = json_response({"code": 0, "msg": elsewhere}, 451)

    def next_day(self) -> None:
        self.today += timedelta(days=1)

    def error_object(self) -> ReplayResponse:
        return json_response({"code": -1121, "msg": "Invalid symbol."})

    def respond(self, request: ReplayRequest, base: str) -> ReplayResponse | None:
        known = {"symbol", "interval", "startTime", "endTime", "limit"}
        if request.path != "/klines" or set(request.query) - known or request.query.get("interval") != "1d":
            return None
        if request.query.get("symbol") != "BTCUSDT":
            return json_response({"code": -1121, "msg": "Invalid symbol."}, 400)
        limit = int(request.query.get("limit", "500"))
        if limit > 1_000:
            return json_response({"code": -1130, "msg": "Data sent for parameter 'limit' is not valid."}, 400)
        last_ms = int(request.query.get("endTime", str(seconds(self.today) * 1_000)))
        all_days = [day for day in days(self.listed_on, self.today) if seconds(day) * 1_000 <= last_ms]
        if "startTime" in request.query:
            shown = [day for day in all_days if seconds(day) * 1_000 >= int(request.query["startTime"])][:limit]
        else:
            shown = all_days[-limit:]
        return json_response([self._row(day) for day in shown])

    def _row(self, day: date) -> list[int | str]:
        at, begins = f"{close('binance', day, self.today):.8f}", seconds(day) * 1_000
        open_, high, low = f"{float(at) * 1.01:.8f}", f"{float(at) * 1.02:.8f}", f"{float(at) * 0.98:.8f}"
        volumes = "7511.10200000", "579201133.10220000", "0"
        return [begins, open_, high, low, at, "15230.1", begins + DAY_SECONDS * 1_000 - 1, "117.5", 2411, *volumes]


class BitstampReplay(ReplaySite):
    """Up to 1,000 candles from `start` on, oldest first, every number a string."""

    name = "bitstamp"
    prefix = "/api/v2"
    limits = (Limit(2, 1),)
    settings: Mapping[str, str] = {"HASHPIVOT_BITSTAMP_URL": "{base}"}
    listed_on = date(2011, 8, 18)

    def __init__(self) -> None:
        super().__init__()
        self.today = datetime.now(UTC).date()
        self.switches = {"next-day": self.next_day}

    def next_day(self) -> None:
        self.today += timedelta(days=1)

    def error_object(self) -> ReplayResponse:
        return json_response({"status": "error", "reason": "Invalid parameters.", "code": "API0008"})

    def respond(self, request: ReplayRequest, base: str) -> ReplayResponse | None:
        if request.path != "/ohlc/btcusd/" or set(request.query) - {"step", "limit", "start"}:
            return None
        step, limit = request.query.get("step"), int(request.query.get("limit", "0"))
        if step != str(DAY_SECONDS) or not 1 <= limit <= 1_000:
            return json_response({"code": "400.002", "errors": [{"field": "limit", "message": "Out of range."}]}, 400)
        all_days = days(self.listed_on, self.today)
        if "start" in request.query:
            shown = [day for day in all_days if seconds(day) >= int(request.query["start"])][:limit]
        else:
            shown = all_days[-limit:]
        return json_response({"data": {"pair": "BTC/USD", "ohlc": [self._row(day) for day in shown]}})

    def _row(self, day: date) -> dict[str, str]:
        at = close("bitstamp", day, self.today)
        row = {"timestamp": seconds(day), "open": at * 1.01, "high": at * 1.02, "low": at * 0.98, "close": at}
        return {name: str(value) for name, value in row.items()} | {"volume": "1811.2"}
