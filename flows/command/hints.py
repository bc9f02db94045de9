"""Commands that messages advise, as they can be pasted: by the path of the command, in the home that was named.

Messages write `hashpivot daily` wherever they come from; only the command knows how it was started.
"""

import os
import re
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import click

from flows.command.failures import Reporting

NAME: Final = "hashpivot"
_ADVISED: Final = re.compile(rf"`{NAME} ([^`]+)`")
_OF_RUNS: Final = frozenset({"daily", "backfill", "relabel", "publish-only", "serve", "doctor"})
"""Commands that would look at other sources without the profile; who reads a publication needs none."""


def pasteable(text: str, options: Mapping[str, Any] | None = None) -> str:
    """`text` with each command in backticks as it is to be typed here; `options`: see `Reporting`."""
    return _ADVISED.sub(lambda found: f"`{_completed(found[1].split(' '), options)}`", text)


def command_line(*words: str) -> str:
    """The command with these words, such as `sql` and a statement, each quoted where a shell needs it."""
    return _completed([shlex.quote(word) for word in words], None)


def _completed(words: Sequence[str], options: Mapping[str, Any] | None) -> str:
    from flows.command.cli import cli

    if options is None:
        context = click.get_current_context(silent=True)
        options = context.ensure_object(Reporting).options if context else {}
    command: click.Command = cli
    names: list[str] = []
    for word in words:
        if not isinstance(command, click.Group) or word not in command.commands:
            break
        command = command.commands[word]
        names.append(word)
    rest = list(words[len(names) :])
    given = {"home": os.environ.get("HASHPIVOT_HOME"), **options}
    added: list[str] = []
    for parameter in command.params:
        value, flag = given.get(str(parameter.name)), parameter.opts[0]
        is_needed = parameter.name == "home" or (parameter.name in given and not _OF_RUNS.isdisjoint(names))
        if value is not None and is_needed and flag not in rest and "--help" not in rest:
            added += [flag, shlex.quote(str(value))]
    return " ".join([_program(), *names, *added, *rest])


def _program() -> str:
    """The name of the command where the shell finds it by that, else the path by which it was started."""
    started = Path(sys.argv[0])
    if started.name != NAME:
        return NAME
    found = shutil.which(NAME)
    return NAME if found and Path(found).resolve() == started.resolve() else shlex.quote(str(started))
