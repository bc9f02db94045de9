"""Runs that start in a tenth of a second: a process that has imported everything waits, and is forked for each run.

Prefect's runner starts an interpreter for each run and imports the flow anew: 8.1 s from a click to Completed, against
3.7 s here (medians, benchmarks/README.md). What happens in the process after that is Prefect's own engine, the same as
in one that was started cold.
"""

import multiprocessing
import os
import runpy
import sys
from multiprocessing.context import ForkServerProcess
from typing import Any, Final
from uuid import UUID

import anyio
import anyio.abc
from prefect.client.schemas.objects import FlowRun
from prefect.runner import Runner
from prefect.runner._process_manager import ProcessHandle
from prefect.settings import get_current_settings

PRELOADED: Final = ("flows.scheduled.warm_modules",)

# The names below that begin with an underscore are Prefect's own; its version is pinned, and tests start runs this way.


class WarmRunner(Runner):
    """Prefect's runner, but for how the process of a run comes about."""

    async def __aenter__(self) -> "WarmRunner":
        """Enter as the runner does, then put our start in the place of its own."""
        await super().__aenter__()
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(list(PRELOADED))
        self._scheduled_run_poller._resolve_starter = lambda _run: _WarmStarter(self, context)
        # The first process starts the one that waits; this one does nothing else.
        first = context.Process(target=int)
        first.start()
        await anyio.to_thread.run_sync(first.join)
        return self


class _WarmStarter:
    """Starts one run and returns when its process has ended."""

    def __init__(self, runner: WarmRunner, context: multiprocessing.context.ForkServerContext) -> None:
        self._runner, self._context = runner, context

    async def start(
        self, flow_run: FlowRun, task_status: anyio.abc.TaskStatus[ProcessHandle] = anyio.TASK_STATUS_IGNORED
    ) -> None:
        """Fork; report the handle at once; wait for the end."""
        process = self._context.Process(target=_engine, args=(flow_run.id, self._environment(flow_run.id)))
        process.start()
        task_status.started(ProcessHandle(_joined(process)))
        await anyio.to_thread.run_sync(process.join, abandon_on_cancel=True)

    def _environment(self, flow_run_id: UUID) -> dict[str, str]:
        """What the engine reads, on top of our own environment: its settings, and how a person's stop reaches it."""
        port, token = self._runner._control_channel.register(flow_run_id)
        return {
            **os.environ,
            **get_current_settings().to_environment_variables(exclude_unset=True),
            "PREFECT__FLOW_RUN_ID": str(flow_run_id),
            "PREFECT__ENABLE_CANCELLATION_AND_CRASHED_HOOKS": "false",
            "PREFECT__CONTROL_PORT": str(port),
            "PREFECT__CONTROL_TOKEN": token,
        }


def _joined(process: ForkServerProcess) -> Any:
    """Prefect reads `pid` and `exitcode` of a process, which all kinds of process have."""
    return process


def _engine(flow_run_id: UUID, environment: dict[str, str]) -> None:
    """The body of a forked process: Prefect's engine, run as the program it is."""
    os.environ.update(environment)
    sys.argv = ["prefect.engine", str(flow_run_id)]
    sys.modules.pop("prefect.engine", None)
    runpy.run_module("prefect.engine", run_name="__main__", alter_sys=True)
