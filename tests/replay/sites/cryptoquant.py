"""CryptoQuant's API v1 over an invented market: daily flows of pools and exchanges, newest first.

Source: https://docs.cryptoquant.com/. The index and the multiple follow the published definitions, at the prices and
the issuance of Coin Metrics' double.
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from functools import cache

import polars as pl

from tests.replay.site import Limit, ReplayRequest, ReplayResponse, ReplaySite, json_response
from tests.replay.sites.coinmetrics import blocks_and_subsidy, noise
from tests.replay.sites.coinmetrics import values as fixings

FIRST_DAY = date(2009, 1, 3)
FIRST_FLOW_DAY = date(2011, 6, 1)
LAST_DAY = date(2028, 3, 31)
POOLS = {"antpool": 0.5, "f2pool": 0.3, "foundry_usa": 0.2}
EXCHANGES = {"binance": 0.6, "coinbase_prime": 0.3, "kraken": 0.1, "mtgox": 0.0}
NULL_DAY = date(2026, 9, 8)
COMMON = {"window", "from", "to", "limit", "format"}


def outflow(day: date) -> float:
    return round(5_000 + 1_500 * noise(day, "miners"), 8)


@cache
def flow(day: date, pool: str, exchange: str) -> float:
    """BTC from the pool to the exchange; `mtgox` lived until 2014."""
    if day < FIRST_FLOW_DAY or (exchange == "mtgox") != (day < date(2014, 2, 1)):
        return 0.0
    share = EXCHANGES[exchange] or 1.0
    return round(400 * POOLS[pool] * share * (0.5 + noise(day, pool + exchange)), 8)


@cache
def pair(day: date, pool: str, exchange: str) -> dict[str, float | int | None]:
    pools = list(POOLS) if pool == "all_miner" else [pool]
    exchanges = list(EXCHANGES) if exchange == "all_exchange" else [exchange]
    parts = [flow(day, one, other) for one in pools for other in exchanges]
    total, count = round(sum(parts), 8), sum(1 + round(part / 4) for part in parts if part)
    if day == NULL_DAY:
        return {"flow_total": None, "flow_mean": None, "transactions_count_flow": 0}
    return {
        "flow_total": total,
        "flow_mean": round(total / count, 8) if count else 0.0,
        "transactions_count_flow": count,
    }


@cache
def indicators() -> Mapping[date, tuple[float | None, float | None]]:
    """Index and multiple of each day."""
    days = [FIRST_DAY + timedelta(days=each) for each in range((LAST_DAY - FIRST_DAY).days + 1)]
    prices = [float(fixings(day)["PriceUSD"] or 0) or None for day in days]
    issued = [count * subsidy / 1e8 for count, subsidy in map(blocks_and_subsidy, days)]

    def mean(name: str) -> pl.Expr:
        return pl.col(name).rolling_mean(365, min_samples=329)

    frame = (
        pl.DataFrame({"day": days, "price": prices, "issued": issued, "outflow": [outflow(day) for day in days]})
        .with_columns(out=pl.col("outflow") * pl.col("price"), iss=pl.col("issued") * pl.col("price"))
        .with_columns(index=pl.col("out") / mean("out"), puell=pl.col("iss") / mean("iss"))
        .with_columns(mpi=(pl.col("index") - mean("index")) / pl.col("index").rolling_std(365, min_samples=329))
    )
    return {day: (mpi, puell) for day, mpi, puell in frame.select("day", "mpi", "puell").iter_rows()}


class CryptoQuantReplay(ReplaySite):
    """Days up to `today`, of which only a part has happened. `forbidden`: paths that the plan does not reach."""

    name = "cryptoquant"
    prefix = "/v1"
    limits = (Limit(2, 1),)
    secret = "invented-token-of-nobody/7d1"
    secret_header = "Authorization"
    key_needed = True
    settings: Mapping[str, str] = {
        "HASHPIVOT_CRYPTOQUANT_URL": "{base}",
        "HASHPIVOT_CRYPTOQUANT_KEY": "{secret}",
    }

    def __init__(self) -> None:
        super().__init__()
        indicators()  # now, as the first request would take it for a silent server
        self.today = datetime.now(UTC).date()
        self.forbidden: set[str] = set()
        self.deprecated: dict[str, bool] = {}
        """Path to whether it still has rows."""
        self.revised: dict[tuple[str, str, date], float] = {}
        self.switches = {"vintage": self.rewrite, "next-day": self.next_day}
        self.flavours["429 json"] = failure(429, "too_many_requests")
        self.flavours["401 json"] = failure(401, "unauthorized", "Token does not exist")

    def rewrite(self) -> None:
        """The clusters are made anew: an outflow of three days ago was another."""
        self.revised["/btc/miner-flows/outflow", "outflow_total", self.today - timedelta(days=3)] = 7_777.5

    def next_day(self) -> None:
        self.today += timedelta(days=1)

    def error_object(self) -> ReplayResponse:
        return json_response({"status": {"code": 400, "message": "bad_request", "description": "miner is required"}})

    def respond(self, request: ReplayRequest, base: str) -> ReplayResponse | None:
        if request.headers.get("authorization") != f"Bearer {self.secret}":
            return failure(401, "unauthorized", "Token does not exist")
        if request.path in self.forbidden:
            return failure(403, "forbidden")
        if request.path == "/btc/status/entity-list":
            return self._entities(request)
        row = ROWS.get(request.path)
        if row is None:
            return None
        needed = row[0]
        if unknown := set(request.query) - COMMON - set(needed):
            return failure(400, "bad_request", f"{sorted(unknown)[0]} is not a parameter")
        for name, allowed in needed.items():
            if name not in request.query:
                return failure(400, "bad_request", f"{name} is required")
            if request.query[name] not in allowed:
                return failure(400, "bad_request", f"{name} is not known")
        return self._rows(request)

    def _entities(self, request: ReplayRequest) -> ReplayResponse:
        known = {"miner": POOLS, "exchange": EXCHANGES}.get(request.query.get("type", ""))
        if known is None:
            return failure(400, "bad_request", "type is required")
        group = {"miner": "all_miner", "exchange": "all_exchange"}[request.query["type"]]
        rows = [{"name": name.title(), "symbol": name, "is_validated": True} for name in (group, *known)]
        return success({"data": rows})

    def _rows(self, request: ReplayRequest) -> ReplayResponse:
        query = request.query
        if query.get("window", "day") != "day":
            return failure(400, "bad_request", "window is not known")
        try:
            first = _day(query["from"]) if "from" in query else FIRST_DAY
            last = min(_day(query["to"]) if "to" in query else self.today, self.today)
            limit = int(query.get("limit", "100"))
        except ValueError:
            return failure(400, "bad_request", "from is not a time")
        days = [last - timedelta(days=each) for each in range((last - max(first, FIRST_DAY)).days + 1)]
        if not 1 <= limit <= 100_000 or (request.path.endswith("/mpi") and len(days) < 2):
            return failure(400, "bad_request", "range is too small or too large")
        has_rows = self.deprecated.get(request.path)
        if has_rows is False:
            return json_response({"status": {"code": 200, "message": "deprecated"}})
        make = ROWS[request.path][1]
        data = []
        for day in days[:limit]:
            row: dict[str, object] = {"date": str(day), **make(day, query)}
            row |= {
                name: value for (path, name, on), value in self.revised.items() if (path, on) == (request.path, day)
            }
            data.append(row)
        return success({"window": "day", "data": data}, "deprecated" if has_rows else "success")


def _day(written: str) -> date:
    return datetime.strptime(written[:8], "%Y%m%d").replace(tzinfo=UTC).date()


def success(result: object, message: str = "success") -> ReplayResponse:
    return json_response({"status": {"code": 200, "message": message}, "result": result})


def failure(status: int, message: str, description: str | None = None) -> ReplayResponse:
    details = {} if description is None else {"description": description}
    return json_response({"status": {"code": status, "message": message, **details}}, status)


MINER = {"miner": {*POOLS, "all_miner"}}
EXCHANGE = {"exchange": {*EXCHANGES, "all_exchange"}}
ROWS = {
    "/btc/miner-flows/outflow": (
        MINER,
        lambda day, _: {
            "outflow_total": outflow(day),
            "outflow_top10": round(outflow(day) / 3, 8),
            "outflow_mean": 1.4,
            "outflow_mean_ma7": 1.38,
        },
    ),
    "/btc/miner-flows/inflow": (MINER, lambda day, _: {"inflow_total": round(5_200 + noise(day, "into"), 8)}),
    "/btc/miner-flows/reserve": (
        MINER,
        lambda day, _: {"reserve": round(1_800_000 + noise(day, "reserve"), 8), "reserve_usd": None},
    ),
    "/btc/inter-entity-flows/miner-to-exchange": (
        {"from_miner": {*POOLS, "all_miner"}, "to_exchange": {*EXCHANGES, "all_exchange"}},
        lambda day, query: pair(day, query["from_miner"], query["to_exchange"]),
    ),
    "/btc/inter-entity-flows/exchange-to-miner": (
        {"from_exchange": {*EXCHANGES, "all_exchange"}, "to_miner": {*POOLS, "all_miner"}},
        lambda day, _: {"flow_total": round(90 * noise(day, "back"), 8), "transactions_count_flow": 12},
    ),
    "/btc/exchange-flows/inflow": (
        EXCHANGE,
        lambda day, _: {
            "inflow_total": round(38_000 + noise(day, "in"), 8) if day >= FIRST_FLOW_DAY else 0,
            "inflow_top10": 9_120.12 if day >= FIRST_FLOW_DAY else 0,
            "inflow_mean": 0.8 if day >= FIRST_FLOW_DAY else 0,
        },
    ),
    "/btc/exchange-flows/outflow": (EXCHANGE, lambda day, _: {"outflow_total": round(37_000 + noise(day, "o"), 8)}),
    "/btc/exchange-flows/reserve": (EXCHANGE, lambda day, _: {"reserve": round(2_400_000 + noise(day, "r"), 8)}),
    "/btc/flow-indicator/mpi": ({}, lambda day, _: {"mpi": indicators()[day][0]}),
    "/btc/network-indicator/puell-multiple": ({}, lambda day, _: {"puell_multiple": indicators()[day][1]}),
}
