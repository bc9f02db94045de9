"""What another user of the machine can do: work in a process that has become one, as root alone can start it."""

import os
import pickle
import pwd
from collections.abc import Callable
from typing import TypeVar

import pytest

T = TypeVar("T")
OTHER_USER = "nobody"


def can_become_other_user() -> bool:
    """Whether this process may give up its user for another."""
    return os.geteuid() == 0


def become_other_user() -> None:
    """Give up the rights of root in this process for good."""
    user = pwd.getpwnam(OTHER_USER)
    os.setgroups([])
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)


def as_other_user(work: Callable[[], T]) -> T:
    """The result of `work` in a process of the user `nobody`, or the exception that it raised there."""
    if not can_become_other_user():
        pytest.skip("only root can become another user")
    reader, writer = os.pipe()
    if (child := os.fork()) == 0:
        try:
            become_other_user()
            done: tuple[bool, object] = (True, work())
        except BaseException as error:
            done = (False, error)
        with os.fdopen(writer, "wb") as pipe:
            pickle.dump(done, pipe)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        succeeded, result = pickle.load(pipe)
    os.waitpid(child, 0)
    if not succeeded:
        raise result
    returned: T = result
    return returned
