"""The login of a server of our own. Whoever has it may start runs and read what runs read, so it is kept like a key.

It goes from process to process by the environment alone, never by an argument or a log.
"""

import os
import stat
from pathlib import Path
from secrets import token_urlsafe
from typing import Final

from warehouse.atomic_files import whole_file

LOGIN_NAME: Final = "login"
"""File in the scheduler's folder."""
USER: Final = "hashpivot"


def new_login() -> str:
    """A login that nobody can guess, `user:password`."""
    return f"{USER}:{token_urlsafe(24)}"


def kept_login(home: Path) -> str | None:
    """The login in the scheduler's folder `home`; None where there is none that others could not have seen or set."""
    try:
        with (home / LOGIN_NAME).open(encoding="utf-8") as file:
            facts = os.fstat(file.fileno())
            login = file.read().strip()
    except (OSError, ValueError):
        return None
    is_private = facts.st_uid == os.geteuid() and not stat.S_IMODE(facts.st_mode) & (stat.S_IRWXG | stat.S_IRWXO)
    return login if is_private and ":" in login else None


def keep_login(home: Path) -> tuple[str, bool]:
    """The login that is kept in `home`, made where there is none, and whether it is new."""
    if login := kept_login(home):
        return login, False
    login = new_login()
    file = home / LOGIN_NAME
    file.unlink(missing_ok=True)
    with whole_file(file, shared=True) as draft:
        draft.touch(mode=0o600)
        draft.write_text(f"{login}\n", encoding="utf-8")
    return login, True


def use(login: str) -> None:
    """Let Prefect's clients in this process and in those it starts use `login`; call it before Prefect is imported."""
    os.environ["PREFECT_API_AUTH_STRING"] = login
    # A part of Prefect's clients prefers the key of Prefect Cloud, which a server of our own rejects.
    os.environ.pop("PREFECT_API_KEY", None)
