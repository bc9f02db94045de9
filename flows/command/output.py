"""In which form rows leave the command, and where they go."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from flows.reports.formats import FILES, IN_FILES_ONLY, Form, as_csv, as_objects, write_file
from flows.reports.tables import missing_rows, print_picked

if TYPE_CHECKING:
    from flows.reports.selections import Selection

Command = TypeVar("Command", bound=Callable[..., Any])

_ENDINGS: Final = ", ".join(f".{form}" for form in FILES)


def output_options(command: Command) -> Command:
    """The options that say in which form rows come and where they go; `form_of` reads them."""
    command = click.option("--json", "as_json", is_flag=True, help="Short for --format json.")(command)
    command = click.option(
        "-o",
        "--output",
        type=click.Path(dir_okay=False, path_type=Path),
        metavar="FILE",
        help=f"Write all rows and columns to a file ({_ENDINGS}).",
    )(command)
    return click.option(
        "--format",
        "form",
        type=click.Choice([each.value for each in Form]),
        help="By default what the file ends in, or else a table.",
    )(command)


def form_of(named: str | None, output: Path | None, *, as_json: bool) -> Form:
    """The form that the options name. Raises `click.UsageError` where they contradict each other."""
    if as_json and named not in (None, Form.JSON):
        raise click.UsageError(f"--json and --format {named}: expected one of them")
    named = Form.JSON if as_json else named
    if output is None:
        if named in IN_FILES_ONLY:
            raise click.UsageError(f"--format {named}: found no file, expected one, as it is no text; name it with -o")
        return Form(named or Form.TABLE)
    ending = output.suffix.removeprefix(".").lower()
    if (named or ending) not in FILES:
        found = f"--format {named}" if named else f"-o {output}"
        raise click.UsageError(f"{found}: expected a file of one of the kinds {_ENDINGS}")
    return Form(named or ending)


def deliver(
    selection: "Selection",
    form: Form,
    output: Path | None,
    *,
    limit: int | None,
    usual_limit: int | None,
    more_rows: str,
    takes_all: bool = False,
) -> None:
    """Print the rows of `selection`, at most `limit` or else `usual_limit`, or write them to `output`.

    A file gets all rows where no `limit` is named, as nobody would see that some are missing. `more_rows`: how to get
    those that are not printed; with a form for programs it goes to standard error.
    """
    if output:
        counts = write_file(selection, form, output, limit)
        click.echo(f"wrote {output}: {counts[0]:,} rows, {counts[1]:,} columns")
        return
    if form is Form.CSV:
        frame, is_cut = selection.frame(limit or usual_limit)
        click.echo(as_csv(frame), nl=False)
        notices = missing_rows(frame.height, None, more_rows) if is_cut else []
    else:
        found = selection.rows(limit or usual_limit)
        if form is Form.TABLE:
            print_picked(found, is_whole=takes_all or selection.is_explicit, more_rows=more_rows)
            return
        click.echo(as_objects(found.names, found.rows))
        notices = missing_rows(len(found.rows), found.total, more_rows) if found.is_cut else []
    for line in notices:
        click.echo(line, err=True)
