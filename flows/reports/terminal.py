"""Text for a terminal: characters, never sequences that move the cursor nor marks that Rich would take for a style."""

import logging
from typing import Any

from rich.text import Text

from schemas.text import visible


def shown(value: Any, style: str = "") -> Text:
    """`value` as it is, for a console or for a cell of a table."""
    return Text(visible(str(value)), style)


class LogFormatter(logging.Formatter):
    """One line for each record, and one for each line of its traceback, whatever the message holds."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        """The line of the record."""
        return visible(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:
        """The lines of the traceback."""
        return "\n".join(visible(line) for line in super().formatException(ei).splitlines())


def log_to_terminal(level: int, shape: str) -> None:
    """Write the log to stderr from `level` on, in the format `shape` of `logging`."""
    handler = logging.StreamHandler()
    handler.setFormatter(LogFormatter(shape))
    logging.basicConfig(level=level, handlers=[handler])
