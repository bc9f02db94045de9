"""An object storage on loopback: moto's, behind HTTP, with what reaches it recorded and with faults at will."""

import io
import logging
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import obstore
import requests
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from obstore.store import S3Store
from werkzeug.serving import make_server

KEYS = {"AWS_ACCESS_KEY_ID": "key-of-tests", "AWS_SECRET_ACCESS_KEY": "secret-of-tests", "AWS_REGION": "us-east-1"}


@dataclass(frozen=True)
class Received:
    """A request as it came in."""

    method: str
    path: str
    query: str
    body_bytes: int
    is_copy: bool


@dataclass
class Faults:
    """What the storage does wrong."""

    ignored_headers: tuple[str, ...] = ()
    """Headers that it does not look at, such as `HTTP_IF_MATCH`."""
    status: str | None = None
    """Of all responses, such as `503 Service Unavailable`."""
    pause_seconds: float = 0
    """Before each write."""
    gate: threading.Barrier | None = None
    """Writes of `latest.json` wait until as many are there as it takes."""
    held: str | None = None
    """End of the path of an object whose writes wait until `released` is set."""
    released: threading.Event = field(default_factory=threading.Event)
    damaged: str | None = None
    """End of the path of an object of which another byte is stored."""
    lost_response: str | None = None
    """End of the path of an object that is written once while the response is lost."""


@dataclass
class ObjectStorage:
    """Address and record of a running storage."""

    url: str
    received: list[Received] = field(default_factory=list)
    faults: Faults = field(default_factory=Faults)
    responded_count: int = 0
    """Of the requests in `received` those that have been handled."""

    def environment(self) -> dict[str, str]:
        """The variables that lead a process here, with a small scale of time."""
        return KEYS | {"AWS_ENDPOINT_URL": self.url, "HASHPIVOT_WEB_TIME_SCALE": "0.02"}

    def make_bucket(self, name: str) -> str:
        """A new bucket; its address."""
        requests.put(f"{self.url}/{name}", timeout=30).raise_for_status()
        return f"s3://{name}"

    def make_public(self, address: str) -> None:
        """Let everybody read what is in the bucket of an address, as a website is read."""
        bucket = address.removeprefix("s3://").partition("/")[0]
        objects = f"arn:aws:s3:::{bucket}/*"
        allowed = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": objects}
        policy = {"Version": "2012-10-17", "Statement": [allowed]}
        requests.put(f"{self.url}/{bucket}?policy", json=policy, timeout=30).raise_for_status()

    def store(self, address: str) -> S3Store:
        """A client of its own for what is below an address, as readers have it."""
        bucket, _, prefix = address.removeprefix("s3://").partition("/")
        return S3Store(
            bucket,
            prefix=prefix or None,
            endpoint=self.url,
            access_key_id=KEYS["AWS_ACCESS_KEY_ID"],
            secret_access_key=KEYS["AWS_SECRET_ACCESS_KEY"],
            region=KEYS["AWS_REGION"],
            client_options={"allow_http": True},
            retry_config={"max_retries": 0, "retry_timeout": timedelta(seconds=30)},
        )

    def read(self, address: str, path: str) -> bytes:
        """An object whole."""
        return bytes(obstore.get(self.store(address), path).bytes())

    def paths(self, address: str) -> list[str]:
        """Of all objects below an address."""
        return sorted(found["path"] for page in obstore.list(self.store(address)) for found in page)

    @contextmanager
    def recorded(self) -> Iterator[list[Received]]:
        """What comes in meanwhile."""
        first = len(self.received)
        found: list[Received] = []
        try:
            yield found
        finally:
            found += self.received[first:]

    @contextmanager
    def with_faults(self, **faults: Any) -> Iterator[None]:
        """Faults for a while."""
        self.faults = Faults(**faults)
        try:
            yield
        finally:
            self.faults = Faults()

    @contextmanager
    def without_access(self) -> Iterator[None]:
        """No key is known to the storage for a while."""
        requests.post(f"{self.url}/moto-api/reset-auth", data=b"0", timeout=30).raise_for_status()
        try:
            yield
        finally:
            requests.post(f"{self.url}/moto-api/reset-auth", data=b"inf", timeout=30).raise_for_status()


@contextmanager
def object_storage() -> Iterator[ObjectStorage]:
    """A storage with no bucket, until the end of the block."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    storage = ObjectStorage(url="")
    moto, counting = DomainDispatcherApplication(create_backend_app), threading.Lock()

    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        try:
            return handled(environ, start_response)
        finally:
            with counting:
                storage.responded_count += 1

    def handled(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        faults, method = storage.faults, environ["REQUEST_METHOD"]
        storage.received.append(
            Received(
                method=method,
                path=environ["PATH_INFO"],
                query=environ.get("QUERY_STRING", ""),
                body_bytes=int(environ.get("CONTENT_LENGTH") or 0),
                is_copy="HTTP_X_AMZ_COPY_SOURCE" in environ,
            )
        )
        if faults.status is not None:
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            start_response(faults.status, [("Content-Length", "0")])
            return []
        for header in faults.ignored_headers:
            environ.pop(header, None)
        if method == "PUT":
            threading.Event().wait(faults.pause_seconds)
            if faults.gate is not None and environ["PATH_INFO"].endswith("/latest.json"):
                faults.gate.wait(60)
            if faults.held is not None and environ["PATH_INFO"].endswith(faults.held):
                faults.released.wait(60)
            if faults.damaged is not None and environ["PATH_INFO"].endswith(faults.damaged):
                content = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
                environ["wsgi.input"] = io.BytesIO(content[:-1] + bytes([content[-1] ^ 1]))
            if faults.lost_response is not None and environ["PATH_INFO"].endswith(faults.lost_response):
                faults.lost_response = None
                list(moto(environ, lambda *_: None))
                start_response("500 Internal Server Error", [("Content-Length", "0")])
                return []
        response: Iterable[bytes] = moto(environ, start_response)
        return response

    server = make_server("127.0.0.1", 0, application, threaded=True)
    storage.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    # What moto stores belongs to the process: a storage before this one may have left buckets.
    requests.post(f"{storage.url}/moto-api/reset", timeout=30).raise_for_status()
    try:
        yield storage
    finally:
        server.shutdown()
        server.server_close()
        thread.join(30)
