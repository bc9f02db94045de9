"""Workers of Dask that read shards: those of a scheduler that is there, or of a local cluster for one run.

Prefect's runner for Dask keeps the connection and the local cluster. It is not given the tasks: with each it would send
all settings of Prefect to a worker, among them the login of its server, and every worker would have to reach that
server. The task of a shard stays in the process of the run, with its retries, its states and its limit of time, and
waits there for a worker, which gets a function and a `ShardWork`.

Source: https://docs.prefect.io/integrations/prefect-dask, https://distributed.dask.org/en/stable/client.html.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

from flows.run.plan import Run
from flows.run.workers import ShardWork, Terms, problem_of, read_for_run, software, terms_of
from flows.sources.kinds import kind_of
from flows.sources.protocol import Shard
from schemas.errors import RunOverError, SettingsError, TransientError, UnfitWorkerError

if TYPE_CHECKING:
    from distributed import Client, Future

logger = logging.getLogger(__name__)

CONNECT_SECONDS: Final = 15
POLL_SECONDS: Final = 2.0
"""How often somebody who waits for a shard looks whether a worker is left."""
MISSED_SECONDS: Final = 60.0
"""How long a run waits where no worker is left, for one that is started again."""
PROFILER: Final = "distributed.worker.profile.enabled"
SAFE_PYTHON: Final = (3, 12)
"""The first Python whose list of all frames, which the profiler of a worker takes, cannot block the process for ever.

Source: https://github.com/python/cpython/issues/106883, https://github.com/dask/distributed/issues/8616.
"""


@contextmanager
def dask_workers(run: Run, source_name: str, shards_count: int) -> Iterator[Workers]:
    """Workers that read shards of `source_name` for `run`.

    Raises `SettingsError` where Dask is not installed or no worker can be used, and `TransientError` where there is
    no scheduler or no worker.
    """
    try:
        import dask
        from prefect_dask import DaskTaskRunner
    except ImportError as error:
        raise SettingsError(
            "HASHPIVOT_RUNNER", "dask", "an environment with hashpivot[dask]", "run `make .venv/.dask` and use that one"
        ) from error
    # It reports each connection, on the terminal of whoever watches the run.
    logging.getLogger("distributed").setLevel(logging.WARNING)
    most_count, address = kind_of(source_name).most_readers_count, run.settings.dask_address
    if address:
        runner = DaskTaskRunner(address=address, client_kwargs={"timeout": CONNECT_SECONDS})
    else:
        runner = DaskTaskRunner(cluster_kwargs=_local_cluster(min(most_count, shards_count)))
    with dask.config.set({PROFILER: False}), terms_of(run, source_name) as terms, runner:
        try:
            client: Any = runner.client
        except OSError as error:
            raise TransientError(
                f"HASHPIVOT_DASK_ADDRESS: found no scheduler of Dask at {address or 'loopback'}, expected one; start "
                "it, or look at its address"
            ) from error
        workers = Workers(client, run, terms, min(most_count, shards_count))
        try:
            yield workers
        finally:
            workers.stop()


def _local_cluster(most_count: int) -> dict[str, Any]:
    """A worker for each core, on loopback, with keys of its own: other users of the machine could join without."""
    return {
        "n_workers": min(most_count, os.cpu_count() or 1),
        "threads_per_worker": 1,
        "security": True,
        "dashboard_address": None,
        "silence_logs": logging.WARNING,
    }


class Workers:
    """The workers that can be used. `readers_count`: how many shards they read at once. Safe to use from threads."""

    def __init__(self, client: Client, run: Run, terms: Terms, most_count: int) -> None:
        """Wait for the first, and check all that are there. Raises as `dask_workers`."""
        self._client, self._run, self._terms = client, run, terms
        self._address = str(client.scheduler.address)
        self._lock, self._stopped = threading.Lock(), threading.Event()
        self._problems: dict[str, str] = {}
        """Why each worker that was checked cannot be used, '' where it can."""
        self._check_scheduler()
        fit = self._fit()
        threads_count = sum(count for address, count in self._there().items() if address in fit)
        self.readers_count = max(1, min(threads_count, most_count))
        logger.info(
            "reading shards source=%s workers=%d at_once=%d scheduler=%s",
            terms.source_name,
            len(fit),
            self.readers_count,
            self._address,
        )

    def stop(self) -> None:
        """Wait for no worker any more; one that still reads ends its shard, of which nothing is used."""
        self._stopped.set()

    def read(self, shard: Shard) -> None:
        """Let a worker read `shard`, and another where that one ends. Raises as `read_for_run` and `dask_workers`."""
        web = self._run.sources.web if kind_of(self._terms.source_name).hosted else None
        work = ShardWork(
            terms=self._terms,
            shard=shard,
            readers_count=self.readers_count,
            most_requests_count=None if web is None else self._run.settings.max_requests,
        )
        used = None
        while True:
            fit = self._fit()
            with self._connected():
                future = self._client.submit(read_for_run, work, workers=fit, allow_other_workers=False, pure=False)
            try:
                if self._ends(future, fit):
                    used = self._result(future, shard)
                    break
            finally:
                if not future.done():
                    with suppress(OSError):
                        future.cancel()
            logger.info("no worker left that was to read %s; it goes to others", shard)
        if web is not None and used is not None:
            web.usage.add(
                self._terms.source_name,
                received_bytes=used.received_bytes,
                waited_seconds=used.waited_seconds,
                retries=used.retries_count,
                unchanged=used.unchanged_count,
            )

    def _ends(self, future: Future[Any], fit: Sequence[str]) -> bool:
        """Whether `future` has ended; not where all workers of `fit`, which alone may do it, have ended before."""
        from distributed import CancelledError, wait

        while True:
            try:
                with self._connected(), self._client.as_current():
                    wait([future], timeout=POLL_SECONDS)
            except TimeoutError:
                self._raise_if_stopped()
                if not set(fit) & self._there().keys():
                    return False
            except CancelledError as error:
                raise self._lost() from error
            else:
                return True

    def _result(self, future: Future[Any], shard: Shard) -> Any:
        from distributed import CancelledError
        from distributed.scheduler import KilledWorker

        try:
            return future.result()
        except KilledWorker as error:
            raise TransientError(
                f"{self._terms.source_name} {shard}: found {error.allowed_failures + 1} workers that ended while they "
                "read it, expected one that reads it to its end; look at their logs and their memory"
            ) from error
        except CancelledError as error:
            raise self._lost() from error

    def _fit(self) -> list[str]:
        """Addresses of the workers that can be used, those that came meanwhile included; waits for one."""
        deadline = time.monotonic() + MISSED_SECONDS
        while True:
            self._raise_if_stopped()
            with self._lock:
                there = self._there()
                self._check([address for address in there if address not in self._problems])
                if fit := [address for address in there if self._problems.get(address) == ""]:
                    return fit
                unfit = [f"{address}: {problem}" for address, problem in self._problems.items() if problem]
                if unfit and len(unfit) == len(self._problems):
                    raise UnfitWorkerError(unfit)
            if time.monotonic() >= deadline:
                raise TransientError(
                    f"{self._address}: found no worker of Dask in {MISSED_SECONDS:g} s, expected one; start one with "
                    "`dask worker`"
                )
            self._stopped.wait(POLL_SECONDS / 2)

    def _check(self, addresses: Sequence[str]) -> None:
        if not addresses:
            return
        with self._connected():
            found = self._client.run(_problem_of, self._terms, workers=[*addresses], on_error="return")
        for address in addresses:
            result = found.get(address)
            if result is None or isinstance(result, OSError):
                continue  # it has ended
            self._problems[address] = result if isinstance(result, str) else _other_code(result)
            if self._problems[address]:
                logger.warning("worker %s is not used: %s", address, self._problems[address])

    def _check_scheduler(self) -> None:
        """The scheduler looks into what it passes on, so that it needs the same code."""
        with self._connected():
            try:
                found = self._client.run_on_scheduler(software)
            except OSError:
                raise
            except Exception as error:  # what cannot be imported there arrives as a plain exception
                raise UnfitWorkerError([f"scheduler {self._address}: {_other_code(error)}"]) from error
        if found != self._terms.software:
            problem = f"found {found}, expected {self._terms.software}, as the run has; install the same"
            raise UnfitWorkerError([f"scheduler {self._address}: {problem}"])

    def _there(self) -> Mapping[str, int]:
        """Threads of each worker by its address."""
        with self._connected():
            return dict(self._client.nthreads())

    @contextmanager
    def _connected(self) -> Iterator[None]:
        """Raise `TransientError` for a connection to the scheduler that is lost."""
        try:
            yield
        except TimeoutError:
            raise
        except OSError as error:
            raise self._lost() from error

    def _lost(self) -> TransientError:
        return TransientError(
            f"{self._address}: found no connection to Dask's scheduler any more, expected it to last; see that it runs"
        )

    def _raise_if_stopped(self) -> None:
        if self._stopped.is_set():
            raise RunOverError(self._address)


def _problem_of(terms: Terms) -> str:
    """Why the process that runs this cannot be a worker of the run, '' where it can."""
    import dask

    if sys.version_info < SAFE_PYTHON and dask.config.get(PROFILER):
        return (
            f"found Dask's profiler on, which can block Python {sys.version.split()[0]} for ever, expected it off; "
            "start the worker with DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED=False"
        )
    return problem_of(terms)


def _other_code(error: Exception) -> str:
    """The line about a process whose code is not ours, from the error that it gave."""
    return f"found no such hashpivot ({error}), expected {software()}; install it there"
