"""A scheduler's server that lives as long as one run.

Prefect brings one itself where it knows of none, but without a login, and starts it at the first request, after
importing all of it into the process that makes it. Ours starts first, on the other core, while the run imports what it
needs.
"""

import atexit
import os
import subprocess
from dataclasses import dataclass
from typing import Final

from flows.scheduled import login, own_server
from flows.scheduled.own_server import LOOPBACK, origin
from flows.scheduled.server import wait_for

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
    """Start a server that ends with this process, and set `PREFECT_API_URL` and a login of its own.

    Call it before anything imports Prefect, which then has sent its last logs and events before the server ends.
    """
    # A socket that listens from the start keeps the port from other processes, and early requests waiting.
    with own_server.listen(LOOPBACK, 0) as listener:
        served = origin(LOOPBACK, listener.getsockname()[1])
        secret = login.new_login()
        process = own_server.start(listener, login=secret, origins=[served])
    address = f"{served}/api"
    os.environ["PREFECT_API_URL"] = address
    login.use(secret)
    # It has no pages, and would be gone before anybody opened one.
    os.environ.setdefault("PREFECT_UI_URL", "")
    _OURS.add(address)
    atexit.register(own_server.end, process)
    return TemporaryServer(address, process)


def is_temporary(address: str) -> bool:
    """Whether the server at `address` ends with this process."""
    return address in _OURS
