"""HTTP client of the hosted sources: rate limits, request budget, retries, bounds, and secrets that stay secret.

To add a hosted source called `name`:

1. `flows/sources/name/__init__.py` with a docstring, and `flows/sources/name/kind.py` with three things: a `Supplier`
   of the same name (licence, delay, trust, and the `groups` of series that it states), a `SourceSettings` with the
   fields `url`, `key` and `contact` as far as the source has them, and `SOURCE = SourceKind(...)` with `hosted=True`
   and a function that makes the source from a `SourceContext`. The folder is found by that module; it is listed
   nowhere. The variables are `HASHPIVOT_NAME_URL` and so on.
2. New series, if any, in `schemas/series.py`.
3. `flows/sources/name/source.py`: a `Site` (address, documented limits, key rule, and `classify`, which turns its
   ways of reporting errors into a `Failure`; none where the HTTP status says it all), a parser from decoded responses
   to rows (a pure function, fuzzed by a test), and a class with `name`, `plan(request)`, `probe()` (one cheap
   request, for `doctor`) and `observe(request)`. A daily price is a subclass of
   `flows.sources.prices.closes.DailyCloses`, which has all of them. Fetch by `client.json(path, params, kind)`;
   `kind` is a `msgspec.Struct`, with `Decimal` for amounts. Add no retries, limits or budget around it: they are
   inside.
4. Yield a batch as soon as its rows are whole: what is yielded is stored, whatever happens next. Let errors of the
   client pass; catch `RequestRejectedError` only for what the rest can do without, and report it as a `Notice`.
5. The name in `sources` and `precedence` of `flows/profiles/live.toml`, or of a profile of one's own.
6. The replayed server in `tests/replay/sites/name.py`, written from the source's documentation and not from the
   client; the case in `tests/live/cases/name.py`, which puts it into the fault matrix. Both are found by being there.
"""
