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

from tests.replay.faults import FAULTS, WHOLE_ANSWERS, Fault
from tests.replay.site import Asked, ReplaySite, Said

MAIL: Final = re.compile(r"[^@\s]+@[^@\s]+\.[a-z]{2,}", re.IGNORECASE)
UNKNOWN_STATUS: Final = 599
SLOW_SECONDS: Final = 300.0
"""How long a slow or silent answer would take, before it is scaled."""
SLOW_PARTS_COUNT: Final = 1000


class ReplayServer:
    """Sites behind one port. `time_scale` shrinks limits and pauses as the client under test shrinks its own."""

    def __init__(self, sites: Iterable[ReplaySite], *, time_scale: float = 1, port: int = 0) -> None:
        self.sites = {site.name: site for site in sites}
        self.time_scale = time_scale
        self.log: list[Asked] = []
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

    def requests_of(self, name: str) -> list[Asked]:
        with self._lock:
            return [asked for asked in self.log if asked.site == name]

    def check(self) -> None:
        """Fail with every rule that was broken."""
        assert not self.broken, "\n".join(self.broken)

    def break_rule(self, asked: Asked, rule: str) -> None:
        self.broken.append(f"{asked.site}: {asked.target.split('?')[0]}: {rule}")

    def receive(self, asked: Asked) -> Said | Fault:
        """Note the request, check it against the rules, and find its answer or its fault."""
        site = self.sites[asked.site]
        with self._lock:
            self.log.append(asked)
            times = [each.at for each in self.log if each.site == asked.site]
            self._check_rate(site, asked, times)
            self._check_manners(site, asked)
            if asked.at < self._not_before.get(site.name, 0):
                self.break_rule(asked, "asked again before the time it was told to wait for")
            fault = next((each for each in self.faults if each.site == site.name and each.meets(len(times))), None)
            if fault is None:
                said = site.answer(asked, self.base(site.name))
                if said is None:
                    self.break_rule(asked, f"unknown request {asked.target}")
                    said = Said(UNKNOWN_STATUS, f"unknown request {asked.target}".encode(), "text/plain")
                return said
            if fault.kind == "200 error object":
                return site.error_object()
            said = site.flavours.get(fault.kind) or WHOLE_ANSWERS.get(fault.kind)
            if said is None:
                if fault.kind not in FAULTS:
                    raise ValueError(f"no fault {fault.kind!r}")
                return fault
            wait_seconds = float(said.headers.get("Retry-After", 0))
            if fault.kind == "403 html":
                wait_seconds = site.cool_down_seconds
            self._not_before[site.name] = asked.at + wait_seconds * self.time_scale
            return said

    def _check_rate(self, site: ReplaySite, asked: Asked, times: list[float]) -> None:
        for limit in site.limits:
            recent = [at for at in times if at > asked.at - limit.window_seconds * self.time_scale]
            if len(recent) > limit.requests_count:
                rule = f"{len(recent)} requests within {limit.window_seconds:g} s, allowed {limit.requests_count}"
                self.break_rule(asked, rule)

    def _check_manners(self, site: ReplaySite, asked: Asked) -> None:
        agent = asked.headers.get("user-agent", "")
        if not agent or agent.startswith(("python-", "Python")):
            self.break_rule(asked, f"User-Agent {agent!r} says nothing about us")
        if site.contact_needed and (not MAIL.search(agent) or "://" in agent):
            self.break_rule(asked, f"User-Agent {agent!r} has no mail address or has a web address")
        for other in self.sites.values():
            if other.secret is None:
                continue
            in_parameter = {name for name, value in asked.query.items() if other.secret in value}
            in_header = {name for name, value in asked.headers.items() if other.secret in value}
            mine = other is site
            if in_parameter - ({site.secret_parameter} if mine else set()) or other.secret in unquote(asked.path):
                self.break_rule(asked, f"the key of {other.name} is in the address")
            if in_header - ({(site.secret_header or "").lower()} if mine else set()):
                self.break_rule(asked, f"the key of {other.name} is in a header where it does not belong")

    def wait(self, seconds: float) -> None:
        """Sleep, unless the server ends."""
        self._stopping.wait(seconds)


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Cut connections are part of the game."""


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
            self._send(Said(UNKNOWN_STATUS, f"unknown request {self.path}".encode(), "text/plain"))
            return
        asked = Asked(
            site=name,
            path=path.removeprefix(site.prefix),
            query=dict(parse_qsl(parts.query, keep_blank_values=True)),
            headers={header.lower(): value for header, value in self.headers.items()},
            target=self.path,
            at=time.monotonic(),
        )
        said = self.replay.receive(asked)
        if isinstance(said, Said):
            self._send(said)
        else:
            self._misbehave(said, site.answer(asked, self.replay.base(name)) or Said())

    def do_POST(self) -> None:
        """`/_switch/SITE/NAME` changes how a site behaves: for a person with curl."""
        _, word, name, switch = [*self.path.split("/"), "", "", ""][:4]
        change = self.replay.sites[name].switches.get(switch) if name in self.replay.sites else None
        if word != "_switch" or change is None:
            known = [f"/_switch/{each.name}/{one}" for each in self.replay.sites.values() for one in each.switches]
            self._send(Said(404, ("\n".join(known) + "\n").encode(), "text/plain"))
            return
        change()
        self._send(Said(200, f"{name}: {switch}\n".encode(), "text/plain"))

    def _send(self, said: Said, *, stated_bytes: int | None = None) -> None:
        self.send_response(said.status)
        self.send_header("Content-Type", said.content_type)
        self.send_header("Content-Length", str(len(said.body) if stated_bytes is None else stated_bytes))
        for name, value in said.headers.items():
            self.send_header(name, value)
        self.end_headers()
        with suppress(OSError):
            self.wfile.write(said.body)

    def _misbehave(self, fault: Fault, said: Said) -> None:
        self.close_connection = True
        half = Said(said.status, said.body[: max(len(said.body) * 2 // 3, 1)], said.content_type, said.headers)
        scaled_seconds = SLOW_SECONDS * self.replay.time_scale
        if fault.kind == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
        elif fault.kind == "truncated":
            self._send(half, stated_bytes=len(said.body))
        elif fault.kind == "cut json":
            self._send(half)
        elif fault.kind == "silent":
            self.replay.wait(scaled_seconds)
        elif fault.kind == "slow":
            self._send(Said(said.status, b"", said.content_type), stated_bytes=len(said.body) + SLOW_PARTS_COUNT)
            with suppress(OSError):
                for _ in range(SLOW_PARTS_COUNT):
                    self.wfile.write(b" ")
                    self.replay.wait(scaled_seconds / SLOW_PARTS_COUNT)
                self.wfile.write(said.body)
