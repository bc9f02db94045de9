"""The server: finds the site by the prefix of the path, lets faults happen, and notes every rule that is broken."""

import re
import socket
import struct
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from tests.replay.faults import FAULTS, WHOLE_RESPONSES, Fault
from tests.replay.site import ReplayRequest, ReplayResponse, ReplaySite

MAIL: Final = re.compile(r"[^@\s]+@[^@\s]+\.[a-z]{2,}", re.IGNORECASE)
UNKNOWN_STATUS: Final = 599
SLOW_SECONDS: Final = 300.0
"""How long a slow or silent response would take, before it is scaled."""
SLOW_PARTS_COUNT: Final = 1000


class ReplayServer:
    """Sites behind one port. `time_scale` shrinks limits and pauses as the client under test shrinks its own."""

    def __init__(self, sites: Iterable[ReplaySite], *, time_scale: float = 1, port: int = 0) -> None:
        self.sites = {site.name: site for site in sites}
        self.time_scale = time_scale
        self.log: list[ReplayRequest] = []
        self.faults: list[Fault] = []
        self.broken: list[str] = []
        self.port = port
        self.watched = False
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()
        self._not_before: dict[str, float] = {}
        self._stopping = threading.Event()

    def __enter__(self) -> "ReplayServer":
        server = self
        for site in self.sites.values():
            site.prepare()

        class Handler(_Handler):
            pass

        Handler.replay = server
        self._http = _Http(("127.0.0.1", self.port), Handler)
        self.port = self._http.server_address[1]
        threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._http.shutdown()
        self._http.server_close()
        for each in list(self._sockets):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def base(self, name: str) -> str:
        """Address that stands for the documented base address of the site."""
        return f"http://127.0.0.1:{self.port}/{name}{self.sites[name].prefix}"

    def settings(self) -> dict[str, str]:
        """Variables that point hashpivot at this server."""
        scale = {} if self.time_scale == 1 else {"HASHPIVOT_WEB_TIME_SCALE": str(self.time_scale)}
        return scale | {
            variable: value.format(base=self.base(site.name), secret=site.secret)
            for site in self.sites.values()
            for variable, value in site.settings.items()
        }

    def requests_of(self, name: str) -> list[ReplayRequest]:
        with self._lock:
            return [request for request in self.log if request.site == name]

    def check(self) -> None:
        """Fail with every rule that was broken."""
        assert not self.broken, "\n".join(self.broken)

    def break_rule(self, request: ReplayRequest, rule: str) -> None:
        self.broken.append(f"{request.site}: {request.target.split('?')[0]}: {rule}")

    def receive(self, request: ReplayRequest) -> ReplayResponse | Fault:
        """Note the request, check it against the rules, and find its response or its fault."""
        site = self.sites[request.site]
        with self._lock:
            self.log.append(request)
            times = [each.at for each in self.log if each.site == request.site]
            self._check_rate(site, request, times)
            self._check_manners(site, request)
            if request.at < self._not_before.get(site.name, 0):
                self.break_rule(request, "repeated before the time that Retry-After stated")
            fault = next((each for each in self.faults if each.site == site.name and each.meets(len(times))), None)
            if fault is None:
                response = site.respond(request, self.base(site.name))
                if response is None:
                    self.break_rule(request, f"unknown request {request.target}")
                    return ReplayResponse(UNKNOWN_STATUS, f"unknown request {request.target}".encode(), "text/plain")
                return response
            if fault.kind == "200 error object":
                return site.error_object()
            response = site.flavours.get(fault.kind) or WHOLE_RESPONSES.get(fault.kind)
            if response is None:
                if fault.kind not in FAULTS:
                    raise ValueError(f"no fault {fault.kind!r}")
                return fault
            wait_seconds = float(response.headers.get("Retry-After", 0))
            if fault.kind == "403 html":
                wait_seconds = site.cool_down_seconds
            self._not_before[site.name] = request.at + wait_seconds * self.time_scale
            return response

    def _check_rate(self, site: ReplaySite, request: ReplayRequest, times: list[float]) -> None:
        for limit in site.limits:
            recent = [at for at in times if at > request.at - limit.window_seconds * self.time_scale]
            if len(recent) > limit.requests_count:
                rule = f"{len(recent)} requests within {limit.window_seconds:g} s, allowed {limit.requests_count}"
                self.break_rule(request, rule)

    def _check_manners(self, site: ReplaySite, request: ReplayRequest) -> None:
        agent = request.headers.get("user-agent", "")
        if not agent or agent.startswith(("python-", "Python")):
            self.break_rule(request, f"User-Agent {agent!r} does not name us")
        if site.contact_needed and (not MAIL.search(agent) or "://" in agent):
            self.break_rule(request, f"User-Agent {agent!r} has no mail address or has a web address")
        for other in self.sites.values():
            if other.secret is None:
                continue
            in_parameter = {name for name, value in request.query.items() if other.secret in value}
            in_header = {name for name, value in request.headers.items() if other.secret in value}
            mine = other is site
            if in_parameter - ({site.secret_parameter} if mine else set()) or other.secret in unquote(request.path):
                self.break_rule(request, f"the key of {other.name} is in the address")
            if in_header - ({(site.secret_header or "").lower()} if mine else set()):
                self.break_rule(request, f"the key of {other.name} is in a header where it does not belong")

    def wait(self, seconds: float) -> None:
        """Sleep, unless the server ends."""
        self._stopping.wait(seconds)


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Cut connections are expected."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    replay: ReplayServer

    def setup(self) -> None:
        super().setup()
        self.replay._sockets.add(self.connection)

    def finish(self) -> None:
        self.replay._sockets.discard(self.connection)
        super().finish()

    def log_message(self, format: str, *args: Any) -> None:
        if self.replay.watched:
            super().log_message(format, *args)

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        _, name, *rest = parts.path.split("/")
        site = self.replay.sites.get(name)
        path = "/" + "/".join(rest)
        if site is None or not path.startswith(site.prefix):
            self.replay.broken.append(f"no site: unknown request {self.path}")
            self._send(ReplayResponse(UNKNOWN_STATUS, f"unknown request {self.path}".encode(), "text/plain"))
            return
        request = ReplayRequest(
            site=name,
            path=path.removeprefix(site.prefix),
            query=dict(parse_qsl(parts.query, keep_blank_values=True)),
            headers={header.lower(): value for header, value in self.headers.items()},
            target=self.path,
            at=time.monotonic(),
        )
        outcome = self.replay.receive(request)
        if isinstance(outcome, ReplayResponse):
            self._send(outcome)
        else:
            self._misbehave(outcome, site.respond(request, self.replay.base(name)) or ReplayResponse())

    def do_POST(self) -> None:
        """`/_switch/SITE/NAME` changes how a site behaves: for a person with curl."""
        _, word, name, switch = [*self.path.split("/"), "", "", ""][:4]
        change = self.replay.sites[name].switches.get(switch) if name in self.replay.sites else None
        if word != "_switch" or change is None:
            known = [f"/_switch/{each.name}/{one}" for each in self.replay.sites.values() for one in each.switches]
            self._send(ReplayResponse(404, ("\n".join(known) + "\n").encode(), "text/plain"))
            return
        change()
        self._send(ReplayResponse(200, f"{name}: {switch}\n".encode(), "text/plain"))

    def _send(self, response: ReplayResponse, *, stated_bytes: int | None = None) -> None:
        self.send_response(response.status)
        self.send_header("Content-Type", response.content_type)
        self.send_header("Content-Length", str(len(response.body) if stated_bytes is None else stated_bytes))
        for name, value in response.headers.items():
            self.send_header(name, value)
        self.end_headers()
        with suppress(OSError):
            self.wfile.write(response.body)

    def _misbehave(self, fault: Fault, response: ReplayResponse) -> None:
        self.close_connection = True
        half = ReplayResponse(
            response.status,
            response.body[: max(len(response.body) * 2 // 3, 1)],
            response.content_type,
            response.headers,
        )
        scaled_seconds = SLOW_SECONDS * self.replay.time_scale
        if fault.kind == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
        elif fault.kind == "truncated":
            self._send(half, stated_bytes=len(response.body))
        elif fault.kind == "cut json":
            self._send(half)
        elif fault.kind == "silent":
            self.replay.wait(scaled_seconds)
        elif fault.kind == "slow":
            self._send(
                ReplayResponse(response.status, b"", response.content_type),
                stated_bytes=len(response.body) + SLOW_PARTS_COUNT,
            )
            with suppress(OSError):
                for _ in range(SLOW_PARTS_COUNT):
                    self.wfile.write(b" ")
                    self.replay.wait(scaled_seconds / SLOW_PARTS_COUNT)
                self.wfile.write(response.body)
