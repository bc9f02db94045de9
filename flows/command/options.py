"""Options and types of arguments that several commands share."""

from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from flows.command.failures import Reporting
from flows.settings import DEFAULT_MAX_REQUESTS, MOST_MAX_REQUESTS, profile_names

Command = TypeVar("Command", bound=Callable[..., Any])

DAY: Final = click.DateTime(formats=["%Y-%m-%d"])
MOMENT: Final = click.DateTime(formats=["%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d"])


def day_of(moment: datetime | None) -> date | None:
    """The day that an option of type `DAY` holds."""
    return moment.date() if moment else None


def settings_options(command: Command) -> Command:
    """The options that stand for settings, the same on every command that needs them."""
    folder = click.Path(file_okay=False, path_type=Path)
    profiles = f"One of {', '.join(profile_names())}, or a TOML file. [HASHPIVOT_PROFILE]"
    for flag, kind, text in (
        ("--home", folder, "Folder that holds everything a run writes. [HASHPIVOT_HOME]"),
        ("--files-dir", folder, "Folder the files source reads. [HASHPIVOT_FILES_DIR]"),
        ("--profile", None, profiles),
    ):
        command = click.option(flag, type=kind, help=text, callback=_keep)(command)
    return command


def _keep(context: click.Context, option: click.Parameter, value: Any) -> Any:
    """Let commands that messages advise have the option as well."""
    if value is not None:
        context.ensure_object(Reporting).options[str(option.name)] = value
    return value


def requests_option(command: Command) -> Command:
    """The option for the request budget."""
    return click.option(
        "--max-requests",
        type=click.IntRange(0, MOST_MAX_REQUESTS),
        help=f"Most requests to hosted sources. [HASHPIVOT_MAX_REQUESTS, {DEFAULT_MAX_REQUESTS:,}]",
    )(command)


def switch_option(command: Command) -> Command:
    """The option that lets a run publish where the home holds other data."""
    return click.option(
        "--switch-profile",
        is_flag=True,
        help="Publish even if the home holds data of another kind: real, simulated, or of another chain.",
    )(command)


def json_option(command: Command) -> Command:
    """The option that makes a command print for a program."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON for a program to read.")(command)
