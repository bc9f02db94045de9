"""Coin Metrics' daily metrics of Bitcoin: what the catalogue offers today, in one request for all of it.

Metrics have been taken out of the free offer one by one, and a forbidden one fails the request for all. So the
catalogue is read first, the request has forbidden ones ignored, and where that fails, each is requested by itself.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from typing import Final
from urllib.parse import parse_qsl, urlsplit

import msgspec
import polars as pl

from flows.sources.coinmetrics.metrics import METRICS, without_chain_metrics
from flows.sources.coinmetrics.site import FORBIDDEN
from flows.sources.daily_cells import Column, DailyCells, daily_values
from flows.sources.protocol import Estimate, Request
from flows.sources.web.client import Client
from schemas.errors import BadInputError, RequestRejectedError
from schemas.observations import Batch, Notice, ObservedTable
from schemas.quarantine import FailedRow

CATALOGUE: Final = "/catalog-v2/asset-metrics"
VALUES: Final = "/timeseries/asset-metrics"
ASSET: Final = "btc"
DAILY: Final = "1d"
PAGE_ROWS: Final = 10_000
"""The most that a page may have; all days since 2009 fit into one."""
MOST_PAGES_COUNT: Final = 200
LOOK_BACK: Final = timedelta(days=30)
"""Flow metrics of recent days are revised while addresses are tagged."""

Row = dict[str, str | None]


class Frequency(msgspec.Struct):
    """One frequency at which a metric is offered."""

    frequency: str
    community: bool | None = None


class Metric(msgspec.Struct):
    """One metric of the catalogue."""

    metric: str
    frequencies: list[Frequency]


class Asset(msgspec.Struct):
    """What is offered for one asset."""

    asset: str
    metrics: list[Metric]


class CataloguePage(msgspec.Struct):
    """A page of the catalogue; the last one names no next."""

    data: list[Asset]
    next_page_url: str | None = None


class ValuesPage(msgspec.Struct):
    """A page of values: every number is a string, a metric without a value is null or missing."""

    data: list[Row]
    next_page_url: str | None = None


class CoinMetrics:
    """The community API, or the pro API with a key.

    Costs two requests. Where all that is offered is stored, it fetches the days from `LOOK_BACK` before the newest
    stored one. The first run of each ISO week reads everything again, as revisions reach further back now and then.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self.name = client.site.name

    def plan(self, request: Request) -> Estimate:
        """The catalogue and one page."""
        return Estimate(requests_count=2, seconds=2 * self._client.site.spacing_seconds)

    def probe(self) -> str:
        """Fetch the newest price."""
        params: dict[str, str | int] = {
            "assets": ASSET,
            "metrics": "PriceUSD",
            "frequency": DAILY,
            "page_size": 1,
            "paging_from": "end",
        }
        rows = self._client.json(VALUES, params, ValuesPage).value.data
        return f"newest day {(rows[0].get('time') or 'unnamed')[:10]}" if rows else "no day stated"

    def observe(self, request: Request) -> Iterator[Batch | Notice]:
        """Yield one batch with every value of the days requested. Raises as `Client.json`, and `BadInputError`."""
        offered = self._offered()
        columns = tuple(column for column in METRICS if column.header in offered)
        yield from self._about_absent(columns, request)
        if not columns:
            raise BadInputError(
                self._client.place(CATALOGUE, {}),
                f"{len(offered)} daily metrics of which we use none",
                "some of " + ", ".join(column.header for column in METRICS),
                "take coinmetrics out of the profile, or name another source",
            )
        since = request.first_day(self.name, [column.series for column in columns], LOOK_BACK)
        params = {
            "assets": ASSET,
            "frequency": DAILY,
            "end_time": request.through.isoformat(),
            **({"start_time": since.isoformat()} if since else {}),
        }
        rows, digests, forbidden = self._values([column.header for column in columns], params)
        # A metric that is ignored, as we request, is in no row at all; one without a value may be null instead.
        forbidden += [
            column.header
            for column in columns
            if rows and not any(column.header in row for row in rows) and column.header not in forbidden
        ]
        if forbidden:
            yield self._notice(f"listed in the catalogue but forbidden: {', '.join(forbidden)}")
        kept = tuple(column for column in columns if column.header not in forbidden)
        origin = self._client.place(VALUES, {**params, "metrics": ",".join(column.header for column in kept)})
        values, notices, failed = parsed(origin, rows, kept, request, whole=since is None)
        for message in notices:
            yield Notice(source=self.name, origin=origin, message=message)
        yield Batch(
            source=self.name,
            table=ObservedTable.DAILY_VALUE,
            origin=origin,
            sha256=digests[0] if len(digests) == 1 else sha256("".join(digests).encode()).hexdigest(),
            observed_at=request.now,
            rows=values,
            failed=failed,
        )

    def _offered(self) -> set[str]:
        """Metrics that this host serves daily."""
        offered: set[str] = set()
        params: dict[str, str | int] | None = {"assets": ASSET}
        for _ in range(MOST_PAGES_COUNT):
            if params is None:
                break
            page = self._client.json(CATALOGUE, params, CataloguePage).value
            for asset in page.data:
                offered.update(
                    metric.metric
                    for metric in asset.metrics
                    if asset.asset == ASSET
                    and any(each.frequency == DAILY and each.community is not False for each in metric.frequencies)
                )
            params = self._next(CATALOGUE, page.next_page_url, params)
        return offered

    def _values(self, metrics: Sequence[str], params: dict[str, str]) -> tuple[list[Row], list[str], list[str]]:
        """Rows of all `metrics`, the digests of their pages, and the metrics that may not be had after all."""
        try:
            rows, digests = self._pages(metrics, params)
        except RequestRejectedError as rejection:
            if rejection.code != FORBIDDEN or len(metrics) == 1:
                raise
            last_rejection = rejection
        else:
            return rows, digests, []
        rows, digests, forbidden = [], [], []
        for metric in metrics:
            try:
                of_metric, digests_of_metric = self._pages([metric], params)
            except RequestRejectedError as rejection:
                if rejection.code != FORBIDDEN:
                    raise
                forbidden.append(metric)
            else:
                rows, digests = _joined(rows, of_metric), digests + digests_of_metric
        if len(forbidden) == len(metrics):
            raise last_rejection
        return rows, digests, forbidden

    def _pages(self, metrics: Sequence[str], params: dict[str, str]) -> tuple[list[Row], list[str]]:
        query: dict[str, str | int] | None = {
            **params,
            "metrics": ",".join(metrics),
            "page_size": PAGE_ROWS,
            "paging_from": "start",
            "ignore_forbidden_errors": "true",
            "ignore_unsupported_errors": "true",
        }
        rows: list[Row] = []
        digests: list[str] = []
        for _ in range(MOST_PAGES_COUNT):
            if query is None:
                return rows, digests
            response = self._client.json(VALUES, query, ValuesPage)
            rows += response.value.data
            digests.append(response.sha256)
            query = self._next(VALUES, response.value.next_page_url, query)
        raise BadInputError(
            self._client.place(VALUES, params), f"more than {MOST_PAGES_COUNT} pages", "a last one", "report it"
        )

    def _next(self, path: str, url: str | None, query: dict[str, str | int]) -> dict[str, str | int] | None:
        """The parameters of the next page, sent to the address we know: a response may not lead elsewhere."""
        if url is None:
            return None
        parts = urlsplit(url)
        params: dict[str, str | int] = {
            name: value for name, value in parse_qsl(parts.query, keep_blank_values=True) if name != "api_key"
        }
        if not parts.path.endswith(path) or not params or params == query:
            raise BadInputError(
                self._client.place(path, query),
                "a next page that is none",
                "another page of the same",
                "try again later",
            )
        return params

    def _about_absent(self, columns: Sequence[Column], request: Request) -> Iterator[Notice]:
        absent = [column for column in METRICS if column not in columns]
        never = [column.header for column in absent if (self.name, column.series) not in request.known.newest_day]
        if never:
            yield self._notice(f"not offered: {', '.join(never)}")
        for column in absent:
            newest = request.known.newest_day.get((self.name, column.series))
            if newest:
                yield self._notice(f"no longer offered: {column.header}; {column.series} ends on {newest}")

    def _notice(self, message: str) -> Notice:
        return Notice(source=self.name, origin=self._client.place(CATALOGUE, {"assets": ASSET}), message=message)


def parsed(
    origin: str, rows: Sequence[Row], columns: Sequence[Column], request: Request, *, whole: bool
) -> tuple[pl.DataFrame, list[str], tuple[FailedRow, ...]]:
    """Daily values in `rows`, what was left out, and what failed. `whole`: the rows begin where the series begin.

    Shape: series, day, value. Raises as `daily_values`.
    """
    headers = ["asset", "time", *(column.header for column in columns)]
    cells = pl.DataFrame(
        {header: [row.get(header) for row in rows] for header in headers}, schema=dict.fromkeys(headers, pl.String)
    ).with_row_index("row", offset=1)
    cells = cells.with_columns(pl.col("row").cast(pl.Int64))
    if cells.is_empty():
        empty = pl.DataFrame(schema={"series": pl.String, "day": pl.Date, "value": pl.Float64})
        return empty, ["has no row for the days requested"], ()
    kind = DailyCells(
        day_header="time",
        columns=[column if whole else replace(column, zero_before_start=False) for column in columns],
        partial=without_chain_metrics,
        only={"asset": ASSET},
        remedy="nothing of the response is used; try again tomorrow, or take coinmetrics out of the profile",
    )
    values, _, notices, failed = daily_values(origin, cells, kind, request.now.date())
    return values.filter(pl.col("day") <= request.through), notices, failed


def _joined(rows: list[Row], others: list[Row]) -> list[Row]:
    """One row a time with the cells of both."""
    if not rows:
        return others
    by_time = {(row.get("asset"), row.get("time")): dict(row) for row in rows}
    for row in others:
        by_time.setdefault((row.get("asset"), row.get("time")), {}).update(row)
    return list(by_time.values())
