"""A scheduler's server that lives as long as one run.

Prefect brings one itself where it knows of none, but starts it at the first request, after importing all
of it into the process that makes it. Ours starts first, on the other core, while the run imports what it needs.

Run as a program (`python -m flows.scheduled.temporary_server DESCRIPTOR`) it is that server, on a socket that already
listens.
"""

import atexit
import os
import signal
import socket
import subprocess
import sys
import threading
from dataclasses import dataclass
from typing import Final

from flows.scheduled.server import LOOPBACK, end, wait_for
from flows.startup import importing

_OURS: Final[set[str]] = set()


@dataclass(frozen=True, slots=True)
class TemporaryServer:
    """A server of our own under `address`, perhaps still on its way."""

    address: str
    process: subprocess.Popen[bytes]

    def wait(self) -> None:
        """Return once it responds. Raises `ServerUnreachableError` where it does not."""
        wait_for(self.address, self.process)


def start() -> TemporaryServer:
    """Start a server that ends with this process, and set `PREFECT_API_URL`.

    Call it before anything imports Prefect, which then has sent its last logs and events before the server ends.
    """
    # A socket that listens from the start keeps the port from other processes, and early requests waiting.
    with socket.create_server((LOOPBACK, 0)) as listener:
        address = f"http://{LOOPBACK}:{listener.getsockname()[1]}/api"
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", __name__, str(listener.fileno())],
            # The server must not be a client of itself.
            env={name: value for name, value in os.environ.items() if name != "PREFECT_API_URL"}
            | {"PREFECT_API_BLOCKS_REGISTER_ON_START": "false"},
            pass_fds=[listener.fileno()],
            # Its input ends when we do, even by a kill.
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            # Out of reach of ctrl-C, so that the run can still report its end to it.
            start_new_session=True,
        )
    os.environ["PREFECT_API_URL"] = address
    # It has no pages, and would be gone before anybody opened one.
    os.environ.setdefault("PREFECT_UI_URL", "")
    _OURS.add(address)
    atexit.register(end, process)
    return TemporaryServer(address, process)


def is_temporary(address: str) -> bool:
    """Whether the server at `address` ends with this process."""
    return address in _OURS


def _serve(descriptor: int) -> None:
    threading.Thread(target=_end_with_parent, name="parent", daemon=True).start()
    with importing():
        import uvicorn
        from prefect.server.api.server import create_app

        app = create_app(ephemeral=True, final=True)
    uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="on")).run(
        sockets=[socket.socket(fileno=descriptor)]
    )


def _end_with_parent() -> None:
    while sys.stdin.buffer.read(1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
