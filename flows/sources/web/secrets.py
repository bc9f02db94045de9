"""Keeps secrets out of messages, stored responses and the logs of the HTTP libraries."""

import logging
import threading
from typing import Final
from urllib.parse import quote, quote_plus

REDACTED: Final = "***"
_LOGGERS: Final = ("urllib3.connectionpool", "urllib3.connection", "urllib3.util.retry", "requests")
"""Loggers that write addresses with their parameters."""

_forms: dict[str, None] = {}
_lock = threading.Lock()


class _Redacting(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        if _forms:
            record.msg, record.args = redacted(record.getMessage()), ()
        return True


def keep_secret(secret: str) -> None:
    """From here on no text that passes `redacted`, and no log of an HTTP library, holds `secret` in any spelling."""
    with _lock:
        if not _forms:
            for name in _LOGGERS:
                logging.getLogger(name).addFilter(_Redacting())
        _forms.update(dict.fromkeys((secret, quote(secret), quote(secret, safe=""), quote_plus(secret))))


def redacted(text: str) -> str:
    """`text` without any secret of this process."""
    for form in tuple(_forms):
        text = text.replace(form, REDACTED)
    return text


def holds_secret(content: bytes) -> bool:
    """Whether any secret of this process is in `content`."""
    return any(form.encode() in content for form in tuple(_forms))
