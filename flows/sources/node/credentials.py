"""Credentials for the node: the cookie it writes at each start, or a user and a password. Neither is ever printed."""

import threading
from pathlib import Path
from typing import Final, Protocol

from schemas.errors import SettingsError

COOKIE_SETTING: Final = "HASHPIVOT_NODE_COOKIE_FILE"
USER_SETTING: Final = "HASHPIVOT_NODE_USER"
PASSWORD_SETTING: Final = "HASHPIVOT_NODE_PASSWORD"
LARGEST_COOKIE_BYTES: Final = 4096

Pair = tuple[str, str]
"""User and password."""


class Credentials(Protocol):
    """User and password for the node, and others for when it rejects them."""

    def current(self) -> Pair:
        """User and password to send now. Raises `SettingsError` where they cannot be read."""
        ...

    def after_rejection_of(self, rejected: Pair) -> Pair:
        """Other ones, now that `rejected` were rejected. Raises `SettingsError` where there are none."""
        ...


class Password:
    """A user of the node's `rpcauth` or `rpcuser`."""

    def __init__(self, user: str, password: str) -> None:
        self._pair = (user, password)

    def current(self) -> Pair:
        """The user and the password."""
        return self._pair

    def after_rejection_of(self, rejected: Pair) -> Pair:
        """Raise `SettingsError`: a password does not change by itself."""
        raise SettingsError(
            f"{USER_SETTING} and {PASSWORD_SETTING}",
            "credentials that the node rejects",
            "a user and a password from its rpcauth lines",
            "correct them",
        )


class CookieFile:
    """The file `.cookie` in the node's data folder, which changes at every start of the node."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._pair: Pair | None = None
        self._lock = threading.Lock()

    def current(self) -> Pair:
        """The content of the file when it was last read."""
        with self._lock:
            if self._pair is None:
                self._pair = self._read()
            return self._pair

    def after_rejection_of(self, rejected: Pair) -> Pair:
        """The content of the file now, read again unless another thread just did."""
        with self._lock:
            if self._pair == rejected:
                self._pair = self._read()
            if self._pair is None or self._pair == rejected:
                raise SettingsError(
                    COOKIE_SETTING,
                    f"{self.path}, whose content the node rejects",
                    "the cookie of the node that is running",
                    "point it at the data folder of that node",
                )
            return self._pair

    def _read(self) -> Pair:
        try:
            with self.path.open("rb") as file:
                content = file.read(LARGEST_COOKIE_BYTES + 1)
        except OSError as error:
            raise SettingsError(
                COOKIE_SETTING,
                f"{self.path}: {error.strerror}",
                "a readable file",
                "start the node, or grant access to its cookie",
            ) from error
        user, colon, password = content.decode("utf-8", "replace").strip().partition(":")
        if not (user and colon and password) or len(content) > LARGEST_COOKIE_BYTES or "\n" in password:
            raise SettingsError(
                COOKIE_SETTING,
                f"{self.path} of {len(content)} bytes",
                "one line, user:password",
                "point it at the file .cookie",
            )
        return user, password
