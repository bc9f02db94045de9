"""The bucket that a lake has its data files in, which DuckDB reads and writes by its extension httpfs.

Keys, endpoint and region come from the environment of the process, as those of the target `s3://`, and go into a secret
that the connection has in memory: never into the catalog, a log or an error. No message of the extension is passed on.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import duckdb

from schemas.errors import HashpivotError, WarehouseError
from warehouse.statements import scalar, text
from warehouse.targets import bucket_lines

SCHEME: Final = "s3://"
EXTENSION: Final = "httpfs"
REQUEST_TIMEOUT_SECONDS: Final = 60
"""Of one part: at a megabit a second. DuckDB has none for all tries together, so that this one is short."""
LEAST_TIMEOUT_SECONDS: Final = 2
MOST_RETRIES: Final = 3
FIRST_PAUSE_MS: Final = 500
PAUSE_FACTOR: Final = 2
PARTS_AT_ONCE_COUNT: Final = 2
LARGEST_FILE: Final = "80GB"
"""DuckDB takes parts of a ten thousandth of it, 8 megabytes, which it holds in memory."""
CONNECTION: Final = re.compile(r"error for HTTP [A-Z]+ to '")
TIMED_OUT: Final = re.compile(r"Timeout was reached|timed out")
STATUS: Final = re.compile(r"\bHTTP(?: code)? ([1-5]\d{2})\b")
CODE: Final = re.compile(r"^([A-Z]\w{1,60}): ", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class LakeBucket:
    """A bucket, with a prefix below which the files of one lake are."""

    address: str
    """Of the target, for its errors."""
    data: str
    """`s3://BUCKET/PREFIX`."""
    time_scale: float = 1
    """Shrinks pauses and time-outs."""

    @property
    def name(self) -> str:
        """Of the bucket."""
        return self.data.removeprefix(SCHEME).partition("/")[0]

    def prepare(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Give a connection with the extension its limits and the key, and look whether that opens the bucket.

        One request. Raises `WarehouseError` without a key; errors of DuckDB are for `explained`.
        """
        seconds = max(round(REQUEST_TIMEOUT_SECONDS * self.time_scale), LEAST_TIMEOUT_SECONDS)
        limits = {
            "http_timeout": seconds,
            "http_retries": MOST_RETRIES,
            "http_retry_wait_ms": max(round(FIRST_PAUSE_MS * self.time_scale), 1),
            "http_retry_backoff": PAUSE_FACTOR,
            "s3_uploader_max_filesize": text(LARGEST_FILE),
            "s3_uploader_thread_limit": PARTS_AT_ONCE_COUNT,
        }
        connection.execute("; ".join(f"set {name} = {value}" for name, value in limits.items()))
        options = self._options(os.environ)
        stated = ", ".join(f"{name} {value}" for name, value in options.items())
        try:
            connection.execute(f"create temporary secret of_the_bucket ({stated})")
        except duckdb.Error:
            # Its text would show the statement, and with it the key.
            raise WarehouseError(
                f"target {self.address}: found variables AWS_* that DuckDB does not take, expected keys, endpoint and "
                "region of a storage; correct them"
            ) from None
        # No object has that name, so that the response is short however much there is.
        scalar(connection, f"select count(*) from glob({text(f'{self.data}/hashpivot-looks-*')})")

    def is_empty(self, connection: duckdb.DuckDBPyConnection) -> bool:
        """Whether nothing is below the prefix."""
        return not scalar(connection, f"select count(*) from glob({text(f'{self.data}/**')})")

    def explained(self, error: Exception) -> HashpivotError | None:
        """What an error of DuckDB means where it is one of a request."""
        whole = str(error)
        if CONNECTION.search(whole):
            return bucket_lines.no_response(self.address, in_time=TIMED_OUT.search(whole) is not None)
        found = STATUS.search(whole)
        if found is None:
            return None
        status, code = int(found[1]), CODE.search(whole)
        stated = f"{code[1]} {status}" if code else str(status)
        if code and code[1] == "NoSuchBucket":
            return bucket_lines.no_bucket(self.address, self.name)
        if status in bucket_lines.REJECTED_STATUSES:
            return bucket_lines.key_rejected(self.address, stated)
        if status == 404:
            return WarehouseError(
                f"target {self.address}: found a data file gone from the bucket, expected all that the catalog names; "
                "bring it back, or publish to a new catalog and prefix"
            )
        return bucket_lines.not_accepted(self.address, status, stated)

    def _options(self, environment: Mapping[str, str]) -> dict[str, str]:
        """Of the secret, as they stand in the statement that creates it."""
        key, secret = (environment.get(name) for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"))
        if not (key and secret):
            raise bucket_lines.no_key(self.address)
        region = environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION") or "us-east-1"
        # A secret that the user has for the whole bucket is not taken: that of the narrowest scope is.
        stated = {"scope": f"{self.data}/", "key_id": key, "secret": secret, "region": region}
        if token := environment.get("AWS_SESSION_TOKEN"):
            stated["session_token"] = token
        options = {"type": "s3", "provider": "config"} | {name: text(value) for name, value in stated.items()}
        if endpoint := environment.get("AWS_ENDPOINT_URL"):
            scheme, _, host = endpoint.rstrip("/").partition("://")
            if scheme not in ("http", "https") or not host or "@" in host:
                raise WarehouseError(
                    f"target {self.address}: found no address in AWS_ENDPOINT_URL, expected one such as "
                    "https://minio.example.org; correct it"
                )
            options |= {"endpoint": text(host), "use_ssl": str(scheme == "https").lower(), "url_style": "path"}
        return options
