"""Every failure of the command as one line on standard error and an exit code, whatever it comes from."""

import io
import os
import signal
import sys
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, Final, NoReturn

import click

from flows.sources.web.secrets import redacted
from schemas.errors import HashpivotError, chain
from schemas.text import visible

FAULT: Final = 70  # EX_SOFTWARE of sysexits.h
SYSTEM_REFUSED: Final = 74  # EX_IOERR
BY_SIGNAL: Final = 128
"""What shells add to the number of a signal that ended a process."""
STOP_WORDS: Final = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}
STANDARD_ERROR: Final = 2
STOP_AGAIN_SECONDS: Final = 0.5
"""A stop that is not handled by then was dropped: finalisers, callbacks and DuckDB drop what is raised in them."""
LONGEST_STOP_SECONDS: Final = 60.0
"""A library may wait for ever for a lock that it held when the signal came; a kill leaves nothing half-written."""
IMPORTING: Final = "<frozen importlib._bootstrap>"
"""File of the frames that import a module."""
LONGEST_TEXT_CHARACTERS: Final = 300


@dataclass
class Reporting:
    """How failures of this process are reported; the object of every click context."""

    verbose: bool = False
    options: dict[str, Any] = field(default_factory=dict)
    """Options for settings that were given, by the names of their parameters."""


class StoppedError(BaseException):
    """A signal stopped the command. No `KeyboardInterrupt`, for which click prints a line of its own."""


class StoppableGroup(click.Group):
    """A group whose commands a signal ends by `StoppedError`."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command that was typed."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            raise StoppedError from error


def verbose_everywhere(command: click.Command) -> None:
    """Let the command take `--verbose`, and each command in it where it is a group."""

    def be_verbose(context: click.Context, _option: click.Parameter, given: bool) -> None:
        context.ensure_object(Reporting).verbose |= given

    command.params.append(
        click.Option(
            ["--verbose"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=be_verbose,
            help="Show the traceback of a failure.",
        )
    )
    if isinstance(command, click.Group):
        for each in command.commands.values():
            verbose_everywhere(each)


def is_verbose() -> bool:
    """Whether the command that runs was given `--verbose`."""
    return click.get_current_context().ensure_object(Reporting).verbose


def exit_code_of(group: click.Group) -> int:
    """Run the command that was typed, report its failure, and return the exit code of the process."""
    _open_closed_streams()
    reporting, stops, first_at = Reporting(), list[int](), list[float]()

    def stop(number: int, _frame: FrameType | None) -> NoReturn:
        stops.append(number)
        first_at.append(time.monotonic())
        signal.signal(signal.SIGALRM, stop_again)
        signal.setitimer(signal.ITIMER_REAL, STOP_AGAIN_SECONDS, STOP_AGAIN_SECONDS)
        raise KeyboardInterrupt

    def stop_again(_number: int, _frame: FrameType | None) -> None:
        if time.monotonic() - first_at[0] > LONGEST_STOP_SECONDS:
            line, code = _of_signal(stops[0])
            os.write(STANDARD_ERROR, f"{line}\n".encode())
            os._exit(code)
        if not _stops(sys.exception()):
            raise KeyboardInterrupt

    def report_dropped(dropped: "sys.UnraisableHookArgs") -> None:
        if not (stops and isinstance(dropped.exc_value, KeyboardInterrupt)):
            report(dropped)

    report, sys.unraisablehook = sys.unraisablehook, report_dropped
    for number in STOP_WORDS:
        # A shell that starts us in the background lets ctrl-C end only what is in front.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, stop)
    try:
        code = group(obj=reporting, standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else 1
    except (Exception, KeyboardInterrupt, StoppedError) as error:
        if reporting.verbose:
            lines = redacted("".join(traceback.format_exception(error))).splitlines()
            click.echo("\n".join(visible(each) for each in lines), err=True)
        # A library whose call a signal ends raises an error of its own.
        line, code = _of_signal(stops[0]) if stops else _of_error(error)
        _drop_unwritten()
        if line:
            click.echo(visible(_pasteable(line, reporting)), err=True)
        if stops and _was_importing(error):
            # A native module that is half imported may crash the interpreter where it tidies up.
            sys.stderr.flush()
            os._exit(code)
        return code
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        sys.unraisablehook = report
        if stops:
            # Threads that do not end would keep the interpreter from its end.
            signal.signal(signal.SIGALRM, lambda *_: os._exit(BY_SIGNAL + stops[0]))
            signal.setitimer(signal.ITIMER_REAL, LONGEST_STOP_SECONDS)


def _pasteable(line: str, reporting: Reporting) -> str:
    from flows.command.hints import pasteable

    return pasteable(line, reporting.options)


def _stops(error: BaseException | None) -> bool:
    """Whether the error, or one that it was raised from, ends the command for a signal."""
    return any(isinstance(each, KeyboardInterrupt | StoppedError) for each in chain(error))


def _was_importing(error: BaseException) -> bool:
    """Whether the error, or one that it was raised from, was raised while a module was imported."""
    return any(
        frame.f_code.co_filename == IMPORTING
        for each in chain(error)
        for frame, _line in traceback.walk_tb(each.__traceback__)
    )


def _of_signal(number: int) -> tuple[str, int]:
    return f"{STOP_WORDS[signal.Signals(number)]}: nothing is half-written; run again to go on", BY_SIGNAL + number


def _of_error(error: BaseException) -> tuple[str, int]:
    """The line about an error, empty where there is nothing to report, and the exit code."""
    match error:
        case HashpivotError():
            return f"error: {error}", error.exit_code
        case click.exceptions.NoArgsIsHelpError():
            return error.format_message(), error.exit_code
        case click.UsageError(ctx=context):
            path = context.command_path if context else "hashpivot"
            found = _one_line(error.format_message()).rstrip(".")
            return f"error: {found}; `{path} --help` shows what it takes", error.exit_code
        case click.ClickException():
            return f"error: {_one_line(error.format_message())}", error.exit_code
        case click.Abort() | KeyboardInterrupt() | StoppedError():
            return _of_signal(signal.SIGINT)
        case BrokenPipeError():
            return "", 0
        case OSError(strerror=str() as reason):
            place = error.filename or "the output"
            return (
                f"error: {_one_line(str(place))}: found {reason!r}, expected it to be usable; look at its owner, its "
                "permissions and the space on its disk",
                SYSTEM_REFUSED,
            )
    found = _one_line(f"{type(error).__name__}: {error}")
    return f"error: found a fault of the program, {found}; run again with --verbose and report what it prints", FAULT


def _one_line(text: str) -> str:
    shown = " ".join(redacted(text).split())
    shown = "".join(c if c.isprintable() else repr(c)[1:-1] for c in shown)
    return shown if len(shown) <= LONGEST_TEXT_CHARACTERS else f"{shown[:LONGEST_TEXT_CHARACTERS]}..."


def _open_closed_streams() -> None:
    """Let nothing that is printed fail for its characters, nor reach a file that took the number of a closed stream."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")


def _drop_unwritten() -> None:
    """Forget what standard output did not take, or the interpreter complains about it at the end."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
