"""One way out to every hosted source: paced, counted, patient, bounded, and discreet.

To add a source called `name`:

1. Supplier in `schemas/suppliers.py`; new series, if any, in `schemas/series.py`; settings `name_url`, `name_key`,
   `name_contact` in `flows/settings.py`, as far as the source has them.
2. Package `flows/sources/name/`: a `Site` (address, documented limits, key rule, and `explain`, which turns its ways of
   saying no into a `Failure`), a parser from decoded answers to rows (a pure function, fuzzed by a test), and a class
   with `name`, `plan(request)`, `probe()` (one cheap request, for `doctor`) and `observe(request)`. Ask by
   `client.json(path, params, kind)`; `kind` is a `msgspec.Struct`, with `Decimal` for amounts. Put nothing around it:
   retries, limits, budget and secrets are inside.
3. Yield a batch as soon as its rows are whole: what is yielded is stored, whatever happens next. Let errors of the
   client rise; catch `RequestRejectedError` only for what the rest can do without, and tell it as a `Notice`.
4. Line in `HOSTED` of `flows/sources/choose.py`; name in `flows/profiles/live.toml`.
5. The other side in `tests/replay/sites/name.py`, from the source's documentation, not from our client; the case in
   `tests/live/cases/name.py`, which puts it into the fault matrix.
"""
