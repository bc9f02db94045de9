"""What another user of the machine can do: work in a process that has become one, as root alone can start it."""

import os
import pickle
import pwd
from collections.abc import Callable
from typing import TypeVar

import pytest

T = TypeVar("T")
OTHER_USER = "nobody"


def as_other_user(work: Callable[[], T]) -> T:
    """The result of `work` in a process of the user `nobody`, or the exception that it raised there."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    user = pwd.getpwnam(OTHER_USER)
    reader, writer = os.pipe()
    if (child := os.fork()) == 0:
        try:
            os.setgroups([])
            os.setgid(user.pw_gid)
            os.setuid(user.pw_uid)
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
