"""A program that imports the command once and is forked for each command that is requested over its socket.

Run as `python -P tests/fork_server.py DESCRIPTOR` with the descriptor of a socket that listens; ends with its standard
input. A request is the length of a JSON object, the object, and with its first byte the descriptors of standard input,
output and error; the responses are a line with the process's number and, when it has ended, a line with its exit code.
"""

import atexit
import importlib
import json
import os
import pkgutil
import resource
import selectors
import socket
import sys
import time
import traceback
from contextlib import suppress
from typing import Any

PACKAGES = ("schemas", "transforms", "warehouse", "flows.sources", "flows.run", "flows.reports", "flows.command")
LENGTH_BYTES = 8


def import_all() -> None:
    """Every module of the project that does without the scheduler; nothing is computed and no thread started."""
    from flows.startup import importing

    with importing():
        for package in map(importlib.import_module, PACKAGES):
            for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
                importlib.import_module(module.name)
    assert "prefect" not in sys.modules, "what sets the scheduler up may only be read in the process of a command"


def make_all() -> None:
    """What each process makes at its first use and keeps: schemas, facts of columns, templates of pages."""
    from flows.reports.page import pages
    from schemas.metric import Metric
    from transforms.catalog import PUBLISHED

    for table in PUBLISHED:
        _ = table.schema, table.columns
        for metric in table.metrics:
            assert isinstance(metric, Metric)
            _ = metric.reads, metric.inputs
    for name in pages.TEMPLATES:
        pages.environment().get_template(name)


def serve(listener: socket.socket) -> dict[str, Any] | None:
    """Fork for each request, and report each end; in a forked process return its request, at the end None."""
    selector = selectors.DefaultSelector()
    selector.register(listener, selectors.EVENT_READ)
    selector.register(sys.stdin.fileno(), selectors.EVENT_READ)
    running: dict[int, tuple[int, socket.socket]] = {}
    while True:
        for key, _ in selector.select():
            if key.fd == sys.stdin.fileno():
                return None
            if key.fileobj is not listener:
                pid, connection = running.pop(key.fd)
                selector.unregister(key.fd)
                os.close(key.fd)
                _, status = os.waitpid(pid, 0)
                with suppress(OSError):  # nobody waits for it any more
                    connection.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))
                connection.close()
                continue
            connection, _ = listener.accept()
            request, streams = received(connection)
            if (pid := os.fork()) == 0:
                for descriptor, stream in enumerate(streams):
                    os.dup2(stream, descriptor)
                for descriptor in (*streams, *running):
                    os.close(descriptor)
                for open_one in (selector, listener, connection, *(other for _, other in running.values())):
                    open_one.close()
                return request
            for stream in streams:
                os.close(stream)
            connection.sendall(b"%d\n" % pid)
            ended = os.pidfd_open(pid)
            running[ended] = pid, connection
            selector.register(ended, selectors.EVENT_READ)


def received(connection: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """A request and the descriptors that came with it."""
    head, streams, _, _ = socket.recv_fds(connection, LENGTH_BYTES, 3)
    left, pieces = int.from_bytes(head), []
    while left:
        pieces.append(connection.recv(left))
        left -= len(pieces[-1])
    request: dict[str, Any] = json.loads(b"".join(pieces))
    return request, streams


def become(request: dict[str, Any]) -> None:
    """Take over what differs between one process and another."""
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    time.tzset()
    if request["file_bytes"] is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (request["file_bytes"],) * 2)
    sys.argv = request["arguments"]


def command() -> int:
    """Run the command as its process would, and return the exit code.

    The caller leaves without tidying up native modules: DuckDB has a thread from its import, which a forked process
    lacks, and its end would end the process by an abort.
    """
    from flows.command.entry import main

    code: Any = 0
    try:
        main()
    except SystemExit as ended:
        code = ended.code
    except BaseException:
        traceback.print_exc()
        code = 1
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            code = code or 1
    return code if isinstance(code, int) else int(code is not None)


def main() -> None:
    """Serve; each forked process comes back from that as a command and ends as one."""
    import_all()
    make_all()
    request = serve(socket.socket(fileno=int(sys.argv[1])))
    if request is not None:
        become(request)
        os._exit(command())


if __name__ == "__main__":
    main()
