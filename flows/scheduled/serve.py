"""`hashpivot serve`: one command that keeps a scheduler's server and runs what people or schedules request.

With `PREFECT_API_URL` it joins that server; without, it keeps one of its own on this machine, with a login, and on
loopback unless the user has set that login. Schedules are never paused when it stops.
"""

import asyncio
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Final

from flows.run.clock import LARGEST_STEP, reading, step
from flows.scheduled import login, own_server
from flows.scheduled.own_server import ANY, LOGIN_NAME, LOOPBACK, is_loopback
from flows.scheduled.published_files import PATH
from flows.scheduled.server import ServerUnreachableError, prepare_server, wait_for, write_address
from flows.settings import Settings, export, read_profile
from flows.startup import importing
from schemas.errors import SettingsError, WarehouseBusyError
from warehouse.private import make_private_home

if TYPE_CHECKING:
    from prefect.runner import Runner

logger = logging.getLogger(__name__)

PORT: Final = 4200
POLL_SECONDS: Final = 1.0
"""How often the runner polls for runs: a person who clicked waits half of this on average."""
PREFETCH_SECONDS: Final = 5.0
RUNS_AT_ONCE: Final = 5
"""Processes; all but one of those that write wait."""
WATCH_SECONDS: Final = 20.0


def serve(settings: Settings, *, host: str = LOOPBACK, port: int = PORT) -> None:
    """Serve the deployments until SIGTERM or ctrl-C.

    Raises `SettingsError` for a profile or schedule that cannot be used and for a server that would be open to
    others without a login, `ServerUnreachableError` where there is no server to join or none starts.
    """
    read_profile(settings.profile)
    export(settings)
    make_private_home(settings.home)
    prepare_server(settings.scheduler_home)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        if joined := os.environ.get("PREFECT_API_URL"):
            wait_for(joined)
            _serve_deployments(settings, joined)
            return
        refuse_open(host)
        secret = _login(settings)
        with _own_server(host, port, secret, settings.published) as address:
            os.environ["PREFECT_API_URL"] = address
            # Where links of runs lead, unless people reach the folder elsewhere.
            os.environ.setdefault("HASHPIVOT_PUBLISHED_URL", address.removesuffix("/api") + PATH)
            address_file = write_address(settings.scheduler_home, address)
            try:
                _serve_deployments(settings, address)
            finally:
                address_file.unlink(missing_ok=True)
    except KeyboardInterrupt:
        logger.info("stopping")


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def refuse_open(host: str) -> None:
    """Raise `SettingsError` where the server would be open to other machines without a login."""
    if not is_loopback(host) and not os.environ.get(LOGIN_NAME):
        raise SettingsError(
            "--host",
            host,
            f"{LOOPBACK}, or {LOGIN_NAME} set to user:password",
            "set a login, and put TLS in front",
        )


def _login(settings: Settings) -> str:
    """The login that the user has set, else the one of this home, which a person is shown when it is made."""
    if given := os.environ.get(LOGIN_NAME):
        login.use(os.environ.get("PREFECT_API_AUTH_STRING", given))
        return given
    kept, is_new = login.keep_login(settings.scheduler_home)
    login.use(kept)
    file = settings.scheduler_home / login.LOGIN_NAME
    logger.info("sign in on the page with the line in %s", file)
    # Where a file or a journal keeps our output, others may read it.
    if is_new and sys.stdout.isatty():
        sys.stdout.write(f"Login of the page, shown once and kept in {file}: {kept}\n")
        sys.stdout.flush()
    return kept


@contextmanager
def _own_server(host: str, port: int, secret: str, published: Path) -> Iterator[str]:
    """A server that lives as long as the block, started again should it die; yields the address of its API."""
    origins = own_server.origins_of(host, port, os.environ)
    address = f"{own_server.origin(LOOPBACK if host in ANY else host, port)}/api"
    listener = own_server.listen(host, port)
    stopping = threading.Event()
    process: subprocess.Popen[bytes] | None = None

    def start() -> subprocess.Popen[bytes]:
        return own_server.start(listener, login=secret, origins=origins, published=published)

    def keep() -> None:
        nonlocal process
        while not stopping.wait(1):
            if process is not None and process.poll() is not None:
                logger.error("the scheduler's server ended with %s, starting it again", process.returncode)
                process = start()

    keeper = threading.Thread(target=keep, name="server-keeper", daemon=True)
    try:
        # A stop that came after the process and before its name would leave it behind.
        with _signals_deferred():
            process = start()
        wait_for(address, process)
        keeper.start()
        yield address
    finally:
        stopping.set()
        if keeper.is_alive():
            keeper.join()
        if process is not None:
            own_server.end(process)
        listener.close()


@contextmanager
def _signals_deferred() -> Iterator[None]:
    """SIGTERM and ctrl-C that come meanwhile count afterwards."""
    came: list[int] = []
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    for number in before:
        signal.signal(number, lambda number, _frame: came.append(number))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if came:
            raise KeyboardInterrupt


def _serve_deployments(settings: Settings, address: str) -> None:
    with importing():
        from flows.scheduled.alert_delivery import apply_automations
        from flows.scheduled.deployments import deployments
        from flows.scheduled.warm_start import WarmRunner

    channels = apply_automations(settings)
    runner = WarmRunner(
        name="hashpivot",
        query_seconds=POLL_SECONDS,
        prefetch_seconds=PREFETCH_SECONDS,
        limit=RUNS_AT_ONCE,
        # An outage of ours must not switch the schedule off.
        pause_on_shutdown=False,
    )
    names = []
    for deployment in deployments(settings):
        runner.add_deployment(deployment)
        names.append(deployment.name)
    mark_crashed_runs(settings)
    logger.info(
        "serving %s at %s; alerts by %s",
        ", ".join(names),
        address.removesuffix("/api"),
        ", ".join(channels) or "nobody",
    )
    stopping = threading.Event()
    watch = threading.Thread(target=_watch, args=(settings, stopping), name="watch", daemon=True)
    watch.start()
    try:
        asyncio.run(_run(runner))
    except Exception as error:
        raise ServerUnreachableError(
            f"scheduler: found {type(error).__name__}: {' '.join(str(error).split())[:300]}, expected to go on serving "
            f"at {address}; start again"
        ) from error
    finally:
        stopping.set()


async def _run(runner: "Runner") -> None:
    """Run until SIGTERM or ctrl-C; then end the runs, report that to the server, and return."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    serving = asyncio.create_task(runner.start())
    await asyncio.sleep(0)  # the runner installs a handler of its own first, which leaves by an exception
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait({serving, stopped}, return_when=asyncio.FIRST_COMPLETED)
    if not serving.done():
        logger.info("stopping")
        if runner.started:
            await runner.astop()
        else:
            serving.cancel()
    stopped.cancel()
    await asyncio.gather(serving, stopped, return_exceptions=True)
    if serving.done() and not serving.cancelled() and (error := serving.exception()) and not stop.is_set():
        raise error


def mark_crashed_runs(settings: Settings) -> int:
    """Mark runs of ours as crashed whose process is gone; return how many.

    A machine that lost its power leaves runs that the server takes for running, and that hold the place of the next.
    While the lock of the home is free there is no such process.
    """
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import (
        DeploymentFilter,
        DeploymentFilterTags,
        FlowRunFilter,
        FlowRunFilterState,
        FlowRunFilterStateType,
    )
    from prefect.client.schemas.objects import StateType
    from prefect.states import Crashed

    from flows.scheduled.deployments import TAG
    from warehouse.journal import one_run_at_a_time

    try:
        with one_run_at_a_time(settings.lock_file), get_client(sync_client=True) as client:
            alive = [StateType.RUNNING, StateType.PENDING, StateType.CANCELLING]
            dead = client.read_flow_runs(
                deployment_filter=DeploymentFilter(tags=DeploymentFilterTags(all_=[TAG])),
                flow_run_filter=FlowRunFilter(
                    state=FlowRunFilterState(type=FlowRunFilterStateType(any_=alive)),
                ),
            )
            for run in dead:
                client.set_flow_run_state(run.id, Crashed(message="its process is gone"), force=True)
                logger.warning("run %s is marked as crashed: its process is gone", run.name)
    except WarehouseBusyError:
        return 0
    return len(dead)


def forget_planned_runs() -> int:
    """Delete runs of ours that the scheduler has planned, so that it plans them anew; return how many.

    It plans some ahead, and no more while these are to come. Those that it planned by a clock that was ahead would be
    the next, weeks from now.
    """
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import (
        DeploymentFilter,
        DeploymentFilterTags,
        FlowRunFilter,
        FlowRunFilterState,
        FlowRunFilterStateName,
    )

    from flows.scheduled.deployments import TAG

    with get_client(sync_client=True) as client:
        planned = client.read_flow_runs(
            deployment_filter=DeploymentFilter(tags=DeploymentFilterTags(all_=[TAG])),
            flow_run_filter=FlowRunFilter(state=FlowRunFilterState(name=FlowRunFilterStateName(any_=["Scheduled"]))),
        )
        forgotten = [run for run in planned if run.auto_scheduled]
        for run in forgotten:
            client.delete_flow_run(run.id)
    return len(forgotten)


def _watch(settings: Settings, stopping: threading.Event) -> None:
    """Alert people when a day is late, which no run could: none may have started. Notice a clock that was set."""
    from flows.scheduled.alert_delivery import deliver_late

    noticed = reading("", datetime.now(UTC))
    while True:
        present = reading("", datetime.now(UTC))
        if abs(moved := step(noticed, present)) > LARGEST_STEP:
            try:
                count = forget_planned_runs()
                noticed = present
                logger.warning("the clock was set by %s: %d planned runs are planned anew", moved, count)
            except Exception as error:
                logger.warning("runs are planned anew soon, as the clock was set: %s: %s", type(error).__name__, error)
        try:
            deliver_late(settings, datetime.now(UTC))
        except WarehouseBusyError:
            pass  # a run is under way, which may catch up; it is looked at again soon
        except Exception as error:
            logger.warning(
                "not checked whether the publication is late; checked again soon: %s: %s", type(error).__name__, error
            )
        if stopping.wait(WATCH_SECONDS):
            return
