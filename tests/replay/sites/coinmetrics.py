"""Coin Metrics' community API v4, as its OpenAPI description has it, over an invented market.

Source: openapi.yaml in https://pypi.org/project/coinmetrics-api-client/. Blocks and subsidies keep to consensus: each
era's 210,000 blocks are spread evenly over the days between two halvings.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from functools import cache
from hashlib import sha256
from itertools import pairwise
from urllib.parse import urlencode

from tests.replay.site import Limit, ReplayRequest, ReplayResponse, ReplaySite, json_response

ONLY_COINMETRICS = """
title = "Coin Metrics and nothing else"
degrades = true
sources = ["coinmetrics"]
[precedence]
price = ["coinmetrics"]
chain = ["coinmetrics"]
exchange_flows = ["coinmetrics"]
"""
"""A profile of this source alone."""
FIRST_DAY = date(2009, 1, 3)
FIRST_PRICE_DAY = date(2010, 7, 18)
HALVINGS = (
    *(FIRST_DAY, date(2012, 11, 28), date(2016, 7, 9), date(2020, 5, 11), date(2024, 4, 20)),
    *(date(2028, 4, 1), date(2032, 3, 20)),  # estimates, which the replayed chain keeps to
)
BLOCKS_OF_ERA = 210_000
REVIEWABLE = ("FlowInExNtv", "FlowOutExNtv", "SplyExNtv")
METRICS = (
    *("AdrActCnt", "BlkCnt", "FeeTotNtv", "FlowInExNtv", "FlowOutExNtv", "HashRate", "IssTotNtv", "IssTotUSD"),
    *("PriceUSD", "ReferenceRateUSD", "SplyCur", "SplyExNtv", "TxCnt"),
)
KNOWN_PARAMETERS = {
    *("api_key", "assets", "metrics", "frequency", "start_time", "end_time", "page_size", "paging_from", "pretty"),
    *("next_page_token", "ignore_forbidden_errors", "ignore_unsupported_errors", "start_inclusive", "end_inclusive"),
}


@cache
def blocks_and_subsidy(day: date) -> tuple[int, int]:
    """Blocks of the day, and the subsidy of each in satoshi."""
    era = max(number for number, first in enumerate(HALVINGS) if first <= day)
    first, after = HALVINGS[era], HALVINGS[era + 1]
    days, passed = (after - first).days, (day - first).days
    until = [BLOCKS_OF_ERA * each // days for each in (passed, passed + 1)]
    return until[1] - until[0], 50 * 10**8 >> era


def noise(day: date, word: str) -> float:
    return int.from_bytes(sha256(f"{day}{word}".encode()).digest()[:4], "big") / 2**32


@cache
def supply_sat(day: date) -> int:
    total = 0
    for first, after in pairwise(HALVINGS):
        if day < first:
            break
        days = min((day - first).days + 1, (after - first).days)
        total += BLOCKS_OF_ERA * days // (after - first).days * blocks_and_subsidy(first)[1]
    return total


def btc(sat: int) -> str:
    return f"{sat // 10**8}.{sat % 10**8:08d}".rstrip("0").rstrip(".")


@cache
def values(day: date) -> Mapping[str, str | None]:
    """Everything about the day, as the API writes it."""
    count, subsidy = blocks_and_subsidy(day)
    years = (day - FIRST_PRICE_DAY).days / 365
    price = 0.08 * 10 ** (6 * years / (years + 1.2)) * (1 + 0.2 * noise(day, "price")) if years >= 0 else None
    issued = count * subsidy
    inflow = round((20_000 + 9_000 * noise(day, "in")) * 1e8) if price else 0
    outflow = round((20_000 + 9_000 * noise(day, "out")) * 1e8) if price else 0
    usd = None if price is None else f"{price:.10f}"
    return {
        "AdrActCnt": str(round(900_000 * noise(day, "addresses")) + 1),
        "BlkCnt": str(count),
        "FeeTotNtv": btc(round(count * 2_000_000 * noise(day, "fees"))),
        "FlowInExNtv": btc(inflow),
        "FlowOutExNtv": btc(outflow),
        "HashRate": f"{8.5e8 * 10 ** (-(date(2026, 9, 10) - day).days / 900) * (1 + 0.05 * noise(day, 'hash')):.12f}",
        "IssTotNtv": btc(issued),
        "IssTotUSD": None if price is None else f"{issued / 1e8 * price:.8f}",
        "PriceUSD": usd,
        "ReferenceRateUSD": usd,
        "SplyCur": btc(supply_sat(day)),
        "SplyExNtv": btc(round(supply_sat(day) * 0.13)) if price else "0",
        "TxCnt": str(round(400_000 * noise(day, "transactions")) + 1),
    }


class CoinMetricsReplay(ReplaySite):
    """Days up to `through` are stated. `offered` shrinks and `heeds_ignore` turns false as in the wild."""

    name = "coinmetrics"
    prefix = "/v4"
    limits = (Limit(10, 6),)
    settings: Mapping[str, str] = {"HASHPIVOT_COINMETRICS_URL": "{base}"}

    def __init__(self) -> None:
        super().__init__()
        self.through = datetime.now(UTC).date() - timedelta(days=1)
        self.offered = set(METRICS)
        self.forbidden: set[str] = set()
        self.heeds_ignore = True
        self.refuses_with_200 = False
        self.only_rates_on_last_day = False
        self.revised: dict[tuple[str, date], str] = {}
        self.most_page_rows = 10_000
        self.page_host: str | None = None
        self.switches = {
            "vintage": lambda: self.revise("FlowInExNtv", self.through - timedelta(days=3), "12345.678"),
            "withdraw": lambda: self.offered.discard("SplyExNtv"),
            "next-day": self.next_day,
        }
        limited = {"X-RateLimit-Limit": "10, 10;window=6", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "4"}
        self.flavours["429 json"] = self._failure(429, "too_many_requests", "Too many requests.", **limited)

    def revise(self, metric: str, day: date, value: str) -> None:
        """From now on the metric had another value on that day."""
        self.revised[metric, day] = value

    def next_day(self) -> None:
        """One more day is stated."""
        self.through += timedelta(days=1)

    def error_object(self) -> ReplayResponse:
        return self._failure(
            200, "forbidden", "Requested metric 'TxTfrValAdjUSD' with frequency '1d' is not available."
        )

    def respond(self, request: ReplayRequest, base: str) -> ReplayResponse | None:
        if set(request.query) - KNOWN_PARAMETERS:
            unknown = sorted(set(request.query) - KNOWN_PARAMETERS)[0]
            return self._failure(400, "bad_parameter", f"Bad parameter '{unknown}'.")
        if request.path == "/catalog-v2/asset-metrics":
            return self._catalogue(request)
        if request.path == "/timeseries/asset-metrics":
            return self._timeseries(request, base)
        return None

    def _catalogue(self, request: ReplayRequest) -> ReplayResponse:
        if request.query.get("assets") != "btc":
            return self._failure(400, "bad_parameter", "Bad parameter 'assets'.")
        span = {"min_time": _time(FIRST_DAY), "max_time": _time(self.through)}
        frequencies = [
            {"frequency": "1d-ny-close", **span, "community": True},
            {"frequency": "1d", **span, "community": True},
        ]
        metrics = [{"metric": name, "frequencies": frequencies} for name in sorted(self.offered)]
        return json_response({"data": [{"asset": "btc", "metrics": metrics}]})

    def _timeseries(self, request: ReplayRequest, base: str) -> ReplayResponse:
        query = request.query
        metrics = [name for name in query.get("metrics", "").split(",") if name]
        try:
            page_size = int(query.get("page_size", "100"))
            first = max(date.fromisoformat(query.get("start_time", str(FIRST_DAY))[:10]), FIRST_DAY)
            last = min(date.fromisoformat(query.get("end_time", str(self.through))[:10]), self.through)
        except ValueError:
            return self._failure(400, "bad_parameter", "Bad parameter 'start_time'.")
        if query.get("assets") != "btc" or not metrics or query.get("frequency", "1d") != "1d":
            return self._failure(400, "bad_parameter", "Bad parameter 'assets'.")
        if not 1 <= page_size <= 10_000:
            return self._failure(400, "bad_parameter", "Bad parameter 'page_size'. Valid values: 1 to 10000.")
        unheeded = not (self.heeds_ignore and query.get("ignore_forbidden_errors") == "true")
        for name in metrics:
            if name in self.forbidden and unheeded:
                status = 200 if self.refuses_with_200 else 403
                message = f"Requested metric '{name}' with frequency '1d' for asset 'btc' is not available."
                return self._failure(status, "forbidden", message)
            if name not in METRICS and query.get("ignore_unsupported_errors") != "true":
                return self._failure(400, "bad_parameter", f"Bad parameter 'metrics'. Value '{name}' is not supported.")
        return self._page(request, base, [name for name in metrics if name not in self.forbidden], (first, last))

    def _page(self, request: ReplayRequest, base: str, metrics: list[str], span: tuple[date, date]) -> ReplayResponse:
        query, (first, last) = request.query, span
        size = min(int(query.get("page_size", "100")), self.most_page_rows)
        from_start = query.get("paging_from", "end") == "start"
        if token := query.get("next_page_token"):
            try:
                at = date.fromisoformat(urlsafe_b64decode(token.removeprefix("0.")).decode())
            except ValueError:
                return self._failure(400, "bad_parameter", "Bad parameter 'next_page_token'.")
            first, last = (at, last) if from_start else (first, at)
        days = [first + timedelta(days=each) for each in range((last - first).days + 1)]
        shown = days[:size] if from_start else days[-size:]
        page: dict[str, object] = {"data": [self._row(day, metrics) for day in shown]}
        if len(shown) < len(days):
            next_day = shown[-1] + timedelta(days=1) if from_start else shown[0] - timedelta(days=1)
            token = "0." + urlsafe_b64encode(str(next_day).encode()).decode()
            following = {**query, "next_page_token": token}
            page["next_page_token"] = token
            page["next_page_url"] = f"{self.page_host or base}{request.path}?{urlencode(following, safe=',')}"
        return json_response(page)

    def _row(self, day: date, metrics: list[str]) -> dict[str, str | None]:
        row: dict[str, str | None] = {"asset": "btc", "time": _time(day)}
        for name in sorted(metrics):
            value = self.revised.get((name, day), values(day).get(name))
            if day == self.through and self.only_rates_on_last_day and name not in ("PriceUSD", "ReferenceRateUSD"):
                value = None
            if value is None and name == "PriceUSD" and day.day % 2:
                continue  # a metric without a value is null or missing
            row[name] = value
            if name in REVIEWABLE:
                revised = (name, day) in self.revised
                row[f"{name}-status"] = "revised" if revised else "flash" if day == self.through else "reviewed"
                row[f"{name}-status-time"] = _time(day + timedelta(days=1))
        return row

    @staticmethod
    def _failure(status: int, kind: str, message: str, **headers: str) -> ReplayResponse:
        return json_response({"error": {"type": kind, "message": message}}, status, **headers)


def _time(day: date) -> str:
    return f"{day}T00:00:00.000000000Z"
