"""Glassnode's daily flows and balances of miners, what they send to each exchange, and a figure to check ours.

The labels behind them are updated all the time, so history moves; nothing here is point-in-time.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Final

import msgspec
import polars as pl

from flows.sources.daily_cells import BTC, Column, DailyCells, daily_values, shortened
from flows.sources.glassnode.metrics import METRICS, TO_EACH_EXCHANGE, TO_EXCHANGES
from flows.sources.glassnode.site import PLAN, UNKNOWN
from flows.sources.protocol import Estimate, Request
from flows.sources.unix_days import day_text, midnight_seconds
from flows.sources.web.client import Client, Response
from schemas.errors import BadInputError, RequestRejectedError
from schemas.observations import EXCHANGE_FLOW, Batch, Notice, ObservedTable
from schemas.quarantine import FailedRow

LOOK_BACK: Final = timedelta(days=30)
DISPENSABLE: Final = (PLAN, UNKNOWN)
"""Refusals of one metric that say nothing about the others."""
EVERYBODY: Final = "all"
_USAGE: Final = "/user/api_usage"
_CREDITS: Final = re.compile(r'"creditsUsed"\s*:\s*([0-9]+)')
_EXCHANGE: Final = re.compile("[A-Za-z0-9_. -]{1,60}")
_SUMS: Final = ("aggregated", EVERYBODY)


class Point(msgspec.Struct):
    """A value of the day that begins at `t`."""

    t: int
    v: Decimal | None


class Split(msgspec.Struct):
    """Values of the day that begins at `t`, by exchange."""

    t: int
    o: dict[str, Decimal | None]


class Glassnode:
    """The API of the Professional plan: one request a metric, the whole range in one response.

    Fetches the days from `LOOK_BACK` before the newest stored one of each metric; the first run of an ISO week reads
    everything again.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self.name = client.site.name

    def plan(self, request: Request) -> Estimate:
        """One request a metric."""
        count = len(METRICS) + 1
        return Estimate(requests_count=count, seconds=count * self._client.site.spacing_seconds)

    def observe(self, request: Request) -> Iterator[Batch | Notice]:
        """Yield a batch a metric. Raises as `Client.json`, and `BadInputError`."""
        last_rejection: RequestRejectedError | None = None
        is_any = False
        for column in METRICS:
            since = request.first_day(self.name, [column.series], LOOK_BACK)
            try:
                response = self._client.json(
                    f"/metrics/{column.header}", parameters(since, request.through), list[Point]
                )
            except RequestRejectedError as rejection:
                if rejection.code not in DISPENSABLE:
                    raise
                last_rejection = rejection
                yield self._notice(f"/metrics/{column.header}", f"missing: {rejection.code}")
                continue
            is_any = True
            cells = [(point.t, point.v) for point in response.value]
            # The flow to exchanges also gives rows of flows, which are parts of sums.
            alone = column.header != TO_EXCHANGES
            values, notices, failed = parsed(response.origin, cells, column, request, whole=not since, sets_aside=alone)
            for message in notices:
                yield self._notice(response.origin, message)
            yield self._batch(ObservedTable.DAILY_VALUE, response, values, request, failed)
            if column.header == TO_EXCHANGES:
                flows = flows_of(values, EVERYBODY)
                if not flows.is_empty():
                    yield self._batch(ObservedTable.EXCHANGE_FLOW, response, flows, request)
                yield from self._by_exchange(since, request)
        if last_rejection and not is_any:
            raise last_rejection

    def probe(self) -> str:
        """Whether the key is taken, and what it has cost so far, for one request. Raises as `Client.json`."""
        used = _CREDITS.search(self._client.text(_USAGE, {}).value)
        return "takes the key" + (f", {int(used[1]):,} credits used" if used and len(used[1]) < 20 else "")

    def _by_exchange(self, since: date | None, request: Request) -> Iterator[Batch | Notice]:
        try:
            response = self._client.json(
                f"/metrics/{TO_EACH_EXCHANGE}", parameters(since, request.through), list[Split]
            )
        except RequestRejectedError as rejection:
            if rejection.code not in DISPENSABLE:
                raise
            yield self._notice(f"/metrics/{TO_EACH_EXCHANGE}", f"missing: {rejection.code}")
            return
        flows, notices = parsed_split(response.origin, response.value, request, whole=not since)
        for message in notices:
            yield self._notice(response.origin, message)
        if not flows.is_empty():
            yield self._batch(ObservedTable.EXCHANGE_FLOW, response, flows, request)

    def _notice(self, origin: str, message: str) -> Notice:
        return Notice(source=self.name, origin=origin, message=message)

    def _batch(
        self,
        table: ObservedTable,
        response: Response[list[Point]] | Response[list[Split]],
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


def parameters(since: date | None, through: date) -> Mapping[str, str | int]:
    """Parameters for the days from `since` on; one more than wanted, as no page states whether `u` is included."""
    params: dict[str, str | int] = {"a": "BTC", "i": "24h"}
    if since:
        params["s"] = midnight_seconds(since)
    return params | {"u": midnight_seconds(through + timedelta(days=1))}


def parsed(
    origin: str,
    cells: Sequence[tuple[int, Decimal | None]],
    column: Column,
    request: Request,
    *,
    whole: bool,
    sets_aside: bool = True,
) -> tuple[pl.DataFrame, list[str], tuple[FailedRow, ...]]:
    """Daily values of one metric, what was left out, and what failed; the running day is left out without a word.

    `cells`: begin of the day and value. `whole`: from the first day on. Shape: series, day, value. A null has no row.
    Raises as `daily_values`, with `sets_aside` as there.
    """
    today = request.now.date()
    frame = (
        pl.DataFrame(
            {
                "day": [day_text(at) for at, _ in cells],
                column.header: [None if value is None else str(value) for _, value in cells],
            },
            schema={"day": pl.String, column.header: pl.String},
        )
        .with_row_index("row", offset=1)
        .with_columns(pl.col("row").cast(pl.Int64))
        .filter(pl.col("day") != str(today))
    )
    if frame.is_empty():
        empty = pl.DataFrame(schema={"series": pl.String, "day": pl.Date, "value": pl.Float64})
        return empty, ["has no row for the days requested"], ()
    kind = DailyCells(
        day_header="day",
        columns=[column if whole else replace(column, zero_before_start=False)],
        partial=lambda _: None,
        remedy="nothing of the response is used; try again tomorrow, or take glassnode out of the profile",
        sets_aside=sets_aside,
    )
    values, _, notices, failed = daily_values(origin, frame, kind, today)
    return values.filter(pl.col("day") <= request.through), notices, failed


def parsed_split(
    origin: str, rows: Sequence[Split], request: Request, *, whole: bool
) -> tuple[pl.DataFrame, list[str]]:
    """Rows of `EXCHANGE_FLOW`, all pools together, from each first flow on where `whole`.

    Raises as `parsed`.
    """
    names = dict.fromkeys(name for row in rows for name in row.o if name not in _SUMS)
    odd = next((name for name in names if not _EXCHANGE.fullmatch(name)), None)
    if odd is not None:
        raise BadInputError(origin, shortened(odd), "the name of an exchange", "see whether the API has changed")
    flows, notices = [flows_of(pl.DataFrame(schema={"day": pl.Date, "value": pl.Float64}), EVERYBODY)], []
    for name in sorted(names):
        column = Column(header=f"o.{name}", series="miner_to_exchange_sat", unit=BTC, zero_before_start=True)
        cells = [(row.t, row.o.get(name)) for row in rows]
        values, messages, _ = parsed(origin, cells, column, request, whole=whole, sets_aside=False)
        flows.append(flows_of(values, name))
        notices += [message for message in messages if "leading zero" not in message]
    return pl.concat(flows).sort("day", "exchange"), list(dict.fromkeys(notices))


def flows_of(values: pl.DataFrame, exchange: str) -> pl.DataFrame:
    """Rows of `EXCHANGE_FLOW` for what all pools together sent to `exchange`; transactions are not stated."""
    return values.select(
        "day",
        pl.lit(exchange).alias("exchange"),
        pl.lit(EVERYBODY).alias("pool"),
        pl.col("value").cast(pl.Int64).alias("transfer_sat"),
        pl.lit(None, pl.Int64).alias("transfer_count"),
        pl.lit(None, pl.Int64).alias("top10_sat"),
    ).select(list(EXCHANGE_FLOW.columns))
