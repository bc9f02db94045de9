"""Who we are to the node: the cookie it writes at each start, or a user and a password. Neither is ever printed."""

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
    """What is sent with a call, and what to do when the node does not take it."""

    def current(self) -> Pair:
        """User and password to send now. Raises `SettingsError` where they cannot be had."""
        ...

    def after_refusal_of(self, refused: Pair) -> Pair:
        """Other ones, now that `refused` were not taken. Raises `SettingsError` where there are none."""
        ...


class Password:
    """A user of the node's `rpcauth` or `rpcuser`."""

    def __init__(self, user: str, password: str) -> None:
        self._pair = (user, password)

    def current(self) -> Pair:
        """The user and the password."""
        return self._pair

    def after_refusal_of(self, refused: Pair) -> Pair:
        """Raise `SettingsError`: a password does not change by itself."""
        raise SettingsError(
            f"{USER_SETTING} and {PASSWORD_SETTING}",
            "credentials that the node refuses",
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
        """What the file said when it was last read."""
        with self._lock:
            if self._pair is None:
                self._pair = self._read()
            return self._pair

    def after_refusal_of(self, refused: Pair) -> Pair:
        """What the file says now, read again unless another thread just did."""
        with self._lock:
            if self._pair == refused:
                self._pair = self._read()
            if self._pair is None or self._pair == refused:
                raise SettingsError(
                    COOKIE_SETTING,
                    f"{self.path}, whose content the node refuses",
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
                "a file that can be read",
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
