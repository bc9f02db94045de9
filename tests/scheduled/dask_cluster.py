"""A real cluster of Dask on loopback: a scheduler and workers, each a process, and what they send through a relay."""

import json
import os
import socket
import subprocess
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from tests.invocation import REPOSITORY, clean_environment, eventually

DASK = Path(os.environ.get("HASHPIVOT_TEST_DASK", REPOSITORY / ".venv" / "dask" / "bin" / "python"))
"""Python of an environment with the extra `dask`, which `make test` makes."""
MISSING = f"NOT TESTED that workers of Dask read shards: no {DASK}, run `make .venv/.dask`"
UNPROFILED = {"DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED": "False"}
QUIET = ("--host", "127.0.0.1", "--no-dashboard")


class Relay:
    """Passes on what is sent to `port`, both ways, and keeps a copy."""

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._seen: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def seen(self) -> bytes:
        return b"".join(self._seen)

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                here, _ = self._listener.accept()
                there = socket.create_connection(("127.0.0.1", self._target_port))
                for ends in ((here, there), (there, here)):
                    threading.Thread(target=self._pass_on, args=ends, daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while content := source.recv(65_536):
                self._seen.append(content)
                target.sendall(content)
        for each in (source, target):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


class Cluster:
    """A scheduler behind a relay, and the workers that tests start."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.workers: list[subprocess.Popen[bytes]] = []
        facts = folder / "scheduler.json"
        self.scheduler = self._start("scheduler", {}, "scheduler", "--port", "0", "--scheduler-file", str(facts))
        eventually(facts.exists, "the scheduler did not start", 600)
        eventually(lambda: facts.read_text().strip().endswith("}"), "the scheduler wrote no address", 600)
        self.relay = Relay(int(json.loads(facts.read_text())["address"].rpartition(":")[2]))

    @property
    def address(self) -> str:
        return f"tcp://127.0.0.1:{self.relay.port}"

    def add_worker(
        self, settings: Mapping[str, str], profiler: Mapping[str, str] = UNPROFILED
    ) -> subprocess.Popen[bytes]:
        """Start a worker with one thread, which nobody starts again."""
        name = f"worker-{len(self.workers)}"
        arguments = ("worker", self.address, "--no-nanny", "--nthreads", "1", "--name", name)
        self.workers.append(self._start(name, {**settings, **profiler}, *arguments))
        return self.workers[-1]

    def output(self) -> str:
        """What all processes have written."""
        return "".join(path.read_text() for path in sorted(self.folder.glob("*.log")))

    def stop(self) -> None:
        for process in (*self.workers, self.scheduler):
            process.kill()
            process.wait()
        self.relay.close()

    def _start(self, name: str, settings: Mapping[str, str], *arguments: str) -> subprocess.Popen[bytes]:
        environment = clean_environment(HOME=str(self.folder), TMPDIR=str(self.folder), **settings)
        with (self.folder / f"{name}.log").open("wb") as log:
            return subprocess.Popen(
                [DASK, "-m", "dask", *arguments, *QUIET],
                cwd=self.folder,
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
