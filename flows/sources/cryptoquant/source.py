"""CryptoQuant's daily flows of miners and exchanges, in total, by exchange and by pool, and two figures to check ours.

Its clusters of addresses are rewritten every Tuesday at 00:00 UTC, and history with them. Responses are newest first
and hold the last 100 rows by default, so every request sets the largest allowed row limit.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Annotated, Final

import msgspec
import polars as pl

from flows.sources.cryptoquant.busiest import Busiest, Kept, Pair
from flows.sources.cryptoquant.metrics import (
    ALL_EXCHANGES,
    ALL_MINERS,
    ENDPOINTS,
    ENTITIES,
    MINER_TO_EXCHANGE,
    OF_A_PAIR,
)
from flows.sources.cryptoquant.site import DEPRECATED, FORBIDDEN, NOT_FOUND, Status
from flows.sources.daily_cells import Column, DailyCells, daily_values
from flows.sources.protocol import Estimate, Request
from flows.sources.web.client import Client, Response
from schemas.errors import BadInputError, RequestRejectedError
from schemas.observations import EXCHANGE_FLOW, Batch, Notice, ObservedTable
from schemas.quarantine import FailedRow

MOST_ROWS: Final = 100_000
"""The most rows that one response may have; all days since 2009 fit."""
MOST_ENTITIES_COUNT: Final = 30
"""Exchanges, and pools, that a full reading fetches one by one; the list begins with the known ones."""
MOST_DAILY_PAIRS_COUNT: Final = 8
LOOK_BACK: Final = timedelta(days=45)
REWRITTEN_BY: Final = timedelta(hours=2)
"""After Tuesday 00:00 UTC, when addresses are clustered anew."""
DISPENSABLE: Final = (FORBIDDEN, NOT_FOUND, DEPRECATED)
"""Refusals of one endpoint that say nothing about the others: the plan does not reach it, or it is gone."""
EVERYBODY: Final = "all"
_TUESDAY: Final = 1
_GROUPS: Final = ("all_miner", "all_exchange", "spot_exchange", "derivative_exchange")

Row = dict[str, msgspec.Raw]


class Rows(msgspec.Struct):
    """Rows of one metric, as they were written."""

    data: list[Row]


class Series(msgspec.Struct):
    """A response with rows."""

    status: Status
    result: Rows


class Entity(msgspec.Struct):
    """An exchange or a pool by the name that goes into a request."""

    symbol: Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9_.-]{1,60}$")]


class Entities(msgspec.Struct):
    """All of one kind."""

    data: list[Entity]


class EntityList(msgspec.Struct):
    """A response with names."""

    status: Status
    result: Entities


class CryptoQuant:
    """The API of a Professional or Premium plan.

    The first run after each Tuesday's rewriting reads everything again: 10 requests for the totals, 2 for the names,
    one for each exchange and each pool. Any other run fetches the days from `LOOK_BACK` before the newest stored one,
    of the totals and of the busiest pairs alone, so that other pairs are up to a week behind. Which pairs those are is
    kept in a file; without it, everything is read again.
    """

    def __init__(self, client: Client, busiest: Busiest) -> None:
        self._client, self._busiest = client, busiest
        self.name = client.site.name

    def plan(self, request: Request) -> Estimate:
        """The most that is fetched; a full reading does not know yet how many exchanges and pools there are."""
        kept = self._kept(request)
        pairs_count = len(kept.pairs) if kept else 2 + 2 * MOST_ENTITIES_COUNT
        count = len(ENDPOINTS) + pairs_count
        return Estimate(requests_count=count, seconds=count * self._client.site.spacing_seconds)

    def observe(self, request: Request) -> Iterator[Batch | Notice]:
        """Yield a batch an endpoint and a pair. Raises as `Client.json`, and `BadInputError`."""
        kept = self._kept(request)
        refused: dict[str, RequestRejectedError] = {}
        for endpoint in ENDPOINTS:
            since = self._since(endpoint.columns, request, whole=kept is None)
            try:
                response = self._rows(endpoint.path, endpoint.params, since, request)
            except RequestRejectedError as rejection:
                if rejection.code not in DISPENSABLE:
                    raise
                refused[endpoint.path] = rejection
                yield Notice(source=self.name, origin=endpoint.path, message=f"missing: {rejection.code}")
                continue
            values, notices, failed = parsed(
                response.origin,
                response.value.result.data,
                endpoint.columns,
                request,
                whole=not since,
                sets_aside=endpoint.path != MINER_TO_EXCHANGE,  # also rows of flows, which are parts of sums
            )
            yield from self._notices(response, notices)
            yield self._batch(ObservedTable.DAILY_VALUE, response, values, request, failed)
            if endpoint.path == MINER_TO_EXCHANGE:
                flows = flows_of(values, Pair(exchange=EVERYBODY, pool=EVERYBODY))
                if not flows.is_empty():
                    yield self._batch(ObservedTable.EXCHANGE_FLOW, response, flows, request)
        if len(refused) == len(ENDPOINTS):
            raise refused[MINER_TO_EXCHANGE]
        # What may not be had in total may not be had one by one.
        yield from self._pairs(kept, request, is_offered=MINER_TO_EXCHANGE not in refused)

    def probe(self) -> str:
        """Whether the key is taken, for one request. Raises as `Client.json`."""
        response = self._client.json(ENTITIES, {"type": "miner"}, EntityList)
        return f"takes the key, and knows {len(response.value.result.data)} pools"

    def _kept(self, request: Request) -> Kept | None:
        """The busiest pairs, or None where everything has to be read."""
        kept = self._busiest.read() if request.since is None else None
        is_stored = self.name in request.known.received_at
        return kept if kept and is_stored and last_rewriting(request.now) <= kept.read_at <= request.now else None

    def _since(self, columns: Sequence[Column], request: Request, *, whole: bool) -> date | None:
        """The first day to fetch, None for all there are."""
        if request.since is not None:
            return request.since
        complete_until = request.known.complete_until(self.name, [column.series for column in columns])
        return None if whole or complete_until is None else min(complete_until, request.through) - LOOK_BACK

    def _rows(self, path: str, params: Mapping[str, str], since: date | None, request: Request) -> Response[Series]:
        query: dict[str, str | int] = {
            **params,
            "window": "day",
            "limit": MOST_ROWS,
            # One day more than is wanted: whether `to` is included is not documented, and one endpoint wants two days.
            "to": f"{request.through + timedelta(days=1):%Y%m%d}",
            **({"from": f"{since:%Y%m%d}"} if since else {}),
        }
        return self._client.json(path, query, Series)

    def _pairs(self, kept: Kept | None, request: Request, *, is_offered: bool) -> Iterator[Batch | Notice]:
        pairs: list[Pair] = []
        if kept and is_offered:
            pairs = kept.pairs
        elif is_offered:
            for kind in ("exchange", "miner"):
                symbols, about = self._symbols(kind)
                yield from about
                pairs += [
                    Pair(exchange=symbol, pool=EVERYBODY)
                    if kind == "exchange"
                    else Pair(exchange=EVERYBODY, pool=symbol)
                    for symbol in symbols
                ]
        since = self._since(OF_A_PAIR, request, whole=kept is None)
        carried: dict[Pair, int] = {}
        for pair in pairs:
            params = {
                "from_miner": ALL_MINERS if pair.pool == EVERYBODY else pair.pool,
                "to_exchange": ALL_EXCHANGES if pair.exchange == EVERYBODY else pair.exchange,
            }
            try:
                response = self._rows(MINER_TO_EXCHANGE, params, since, request)
            except RequestRejectedError as rejection:
                if rejection.code not in DISPENSABLE:
                    raise
                place = self._client.place(MINER_TO_EXCHANGE, params)
                yield Notice(source=self.name, origin=place, message=f"missing: {rejection.code}")
                continue
            values, notices, _ = parsed(
                response.origin, response.value.result.data, OF_A_PAIR, request, whole=not since, sets_aside=False
            )
            flows = flows_of(values, pair)
            recent = flows.filter(pl.col("day") > request.through - LOOK_BACK)
            carried[pair] = int(recent["transfer_sat"].sum())
            yield from self._notices(response, [each for each in notices if "leading zero" not in each])
            if not flows.is_empty():
                yield self._batch(ObservedTable.EXCHANGE_FLOW, response, flows, request)
        if kept is None and request.since is None:
            busiest = sorted(carried, key=lambda pair: carried[pair], reverse=True)[:MOST_DAILY_PAIRS_COUNT]
            self._busiest.write(Kept(request.now, [pair for pair in busiest if carried[pair]]))

    def _symbols(self, kind: str) -> tuple[list[str], list[Notice]]:
        """Names of the exchanges or pools to fetch, and the notices about them."""
        try:
            response = self._client.json(ENTITIES, {"type": kind}, EntityList)
        except RequestRejectedError as rejection:
            if rejection.code not in DISPENSABLE:
                raise
            message = f"names of {kind}s are missing: {rejection.code}; their flows are not fetched"
            return [], [Notice(source=self.name, origin=self._client.place(ENTITIES, {}), message=message)]
        listed = dict.fromkeys(each.symbol for each in response.value.result.data)
        symbols = [symbol for symbol in listed if symbol not in _GROUPS and symbol != EVERYBODY]
        left_out = symbols[MOST_ENTITIES_COUNT:]
        message = f"{len(left_out)} of {len(symbols)} {kind}s are not fetched one by one, from {left_out[:1]} on"
        notices = [Notice(source=self.name, origin=response.origin, message=message)] if left_out else []
        return symbols[:MOST_ENTITIES_COUNT], notices

    def _notices(self, response: Response[Series], messages: Sequence[str]) -> Iterator[Notice]:
        if response.value.status.message == DEPRECATED:
            messages = ["the vendor calls this deprecated, and may take it away", *messages]
        for message in messages:
            yield Notice(source=self.name, origin=response.origin, message=message)

    def _batch(
        self,
        table: ObservedTable,
        response: Response[Series],
        rows: pl.DataFrame,
        request: Request,
        failed: tuple[FailedRow, ...] = (),
    ) -> Batch:
        return Batch(
            source=self.name,
            table=table,
            origin=response.origin,
            sha256=response.sha256,
            observed_at=request.now,
            rows=rows,
            failed=failed,
        )


def last_rewriting(now: datetime) -> datetime:
    """When the clusters were last rewritten and settled, before `now`."""
    settled = now - REWRITTEN_BY
    tuesday = settled - timedelta(days=(settled.weekday() - _TUESDAY) % 7)
    return tuesday.replace(hour=0, minute=0, second=0, microsecond=0) + REWRITTEN_BY


def parsed(
    origin: str,
    rows: Sequence[Row],
    columns: Sequence[Column],
    request: Request,
    *,
    whole: bool,
    sets_aside: bool = True,
) -> tuple[pl.DataFrame, list[str], tuple[FailedRow, ...]]:
    """Daily values in `rows`, what was left out, and what failed; the running day is left out without a word.

    `whole`: from the first day on. Shape: series, day, value. A null has no row. Raises as `daily_values`, with
    `sets_aside` as there.
    """
    for column in columns:
        if rows and not any(column.header in row for row in rows):
            raise BadInputError(
                origin, f"rows without {column.header}", "the documented columns", "see whether the API has changed"
            )
    headers = ["date", *(column.header for column in columns)]
    today = request.now.date()
    cells = (
        pl.DataFrame(
            {header: [_text(row.get(header)) for row in rows] for header in headers},
            schema=dict.fromkeys(headers, pl.String),
        )
        .with_row_index("row", offset=1)
        .with_columns(pl.col("row").cast(pl.Int64))
        .filter(pl.col("date").ne_missing(str(today)))
    )
    if cells.is_empty():
        empty = pl.DataFrame(schema={"series": pl.String, "day": pl.Date, "value": pl.Float64})
        return empty, ["has no row for the days requested"], ()
    kind = DailyCells(
        day_header="date",
        columns=[column if whole else replace(column, zero_before_start=False) for column in columns],
        partial=lambda _: None,
        remedy="nothing of the response is used; try again tomorrow, or take cryptoquant out of the profile",
        sets_aside=sets_aside,
    )
    values, _, notices, failed = daily_values(origin, cells, kind, today)
    return values.filter(pl.col("day") <= request.through), notices, failed


def flows_of(values: pl.DataFrame, pair: Pair) -> pl.DataFrame:
    """Rows of `EXCHANGE_FLOW` for `pair`: days whose amount `values` state. The ten largest are not stated."""
    counts = values.filter(pl.col("series") == "miner_to_exchange_count").select("day", transfer_count="value")
    return (
        values.filter(pl.col("series") == "miner_to_exchange_sat")
        .select("day", transfer_sat="value")
        .join(counts, on="day", how="left", validate="1:1", maintain_order="left")
        .select(
            "day",
            pl.lit(pair.exchange).alias("exchange"),
            pl.lit(pair.pool).alias("pool"),
            pl.col("transfer_sat").cast(pl.Int64),
            pl.col("transfer_count").cast(pl.Int64),
            pl.lit(None, pl.Int64).alias("top10_sat"),
        )
        .select(list(EXCHANGE_FLOW.columns))
    )


def _text(written: msgspec.Raw | None) -> str | None:
    """A cell as it was written, a string without its quotes; None for null and for one that is not there."""
    if written is None:
        return None
    text = bytes(written).decode("utf-8", "replace").strip()
    return None if text == "null" else text.removeprefix('"').removesuffix('"')
