"""Glassnode's API over the invented market, at half the level of the other vendor: bare arrays, errors in plain text.

Source: https://docs.glassnode.com/.
"""

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta

from tests.replay.site import Limit, ReplayRequest, ReplayResponse, ReplaySite, json_response
from tests.replay.sites.coinmetrics import noise
from tests.replay.sites.cryptoquant import indicators

FIRST_DAY = date(2009, 1, 3)
FIRST_FLOW_DAY = date(2011, 6, 1)
DAY_SECONDS = 86_400
EXCHANGES = {"binance": 0.5, "coinbase": 0.4, "kraken": 0.1}


def seconds(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())


def to_exchange(day: date, name: str) -> float:
    return round(200 * EXCHANGES[name] * (0.5 + noise(day, f"glass{name}")), 8) if day >= FIRST_FLOW_DAY else 0.0


def to_exchanges(day: date) -> float:
    return round(sum(to_exchange(day, name) for name in EXCHANGES), 8)


VALUES = {
    "transactions/transfers_volume_from_miners_sum": lambda day: round(2_400 + 900 * noise(day, "glass"), 8),
    "transactions/transfers_volume_to_miners_sum": lambda day: round(2_500 + noise(day, "glassin"), 8),
    "transactions/transfers_volume_miners_to_exchanges": to_exchanges,
    "distribution/balance_miners_sum": lambda day: round(1_750_000 + noise(day, "glassheld"), 8),
    "indicators/puell_multiple": lambda day: indicators()[day][1],
}
SPLIT = "transactions/transfers_volume_miners_to_exchanges_all"


class GlassnodeReplay(ReplaySite):
    """`beyond_plan`: metrics that this key may not have."""

    name = "glassnode"
    prefix = "/v1"
    limits = (Limit(600, 60),)
    secret = "invented+key-of-nobody=5c2"
    secret_parameter = "api_key"
    key_needed = True
    settings: Mapping[str, str] = {"HASHPIVOT_GLASSNODE_URL": "{base}", "HASHPIVOT_GLASSNODE_KEY": "{secret}"}

    def __init__(self) -> None:
        super().__init__()
        indicators()  # now, as the first request would take it for a silent server
        self.today = datetime.now(UTC).date()
        self.beyond_plan: set[str] = set()
        self.revised: dict[tuple[str, date], float] = {}
        self.switches = {"vintage": self.relabel, "next-day": self.next_day}
        limited = {"x-rate-limit-limit": "600", "x-rate-limit-remaining": "0", "x-rate-limit-reset": "37"}
        self.flavours["429 text"] = ReplayResponse(429, b"Too Many Requests", "text/plain", limited)
        self.flavours["401 text"] = text(401, "invalid api key")

    def relabel(self) -> None:
        """Somebody's addresses turn out to be another's."""
        metric = "transactions/transfers_volume_from_miners_sum"
        self.revised[metric, self.today - timedelta(days=3)] = 3_333.5

    def next_day(self) -> None:
        self.today += timedelta(days=1)

    def error_object(self) -> ReplayResponse:
        return json_response({"error": "asset not supported"})

    def respond(self, request: ReplayRequest, base: str) -> ReplayResponse | None:
        if request.query.get("api_key") != self.secret:
            return text(401, "invalid api key")
        if request.path == "/user/api_usage":
            return json_response({"creditsUsed": 1_204, "creditsLeft": 8_796})
        metric = request.path.removeprefix("/metrics/")
        if metric in self.beyond_plan:
            return text(403, "Requested data is not available in your current plan")
        if metric not in VALUES and metric != SPLIT:
            return text(404, "404 page not found") if request.path.startswith("/metrics/") else None
        if set(request.query) - {"api_key", "a", "s", "u", "i", "f", "timestamp_format", "c"}:
            return text(400, "unknown parameter")
        if request.query.get("a") != "BTC" or request.query.get("i") != "24h":
            return text(400, "invalid a or i")
        since = int(request.query.get("s", seconds(FIRST_DAY)))
        until = int(request.query.get("u", seconds(self.today) + DAY_SECONDS))
        days = [FIRST_DAY + timedelta(days=each) for each in range((self.today - FIRST_DAY).days + 1)]
        rows = [self._row(metric, day) for day in days if since <= seconds(day) < until]
        return ReplayResponse(200, json.dumps(rows).encode(), "application/json")

    def _row(self, metric: str, day: date) -> dict[str, object]:
        if metric == SPLIT:
            return {"t": seconds(day), "o": {name: to_exchange(day, name) for name in EXCHANGES}}
        return {"t": seconds(day), "v": self.revised.get((metric, day), VALUES[metric](day))}


def text(status: int, words: str) -> ReplayResponse:
    return ReplayResponse(status, words.encode(), "text/plain")
