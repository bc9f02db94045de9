"""Metrics that compute with NumPy inside Polars, whose threads reach NumPy at once."""

import subprocess
import sys

from tests.invocation import REPOSITORY

AT_ONCE = """
import sys
from threading import Barrier, Thread

import polars._dependencies
import transforms.metrics

sys.setswitchinterval(1e-6)  # a thread gives way wherever it can
barrier, errors = Barrier(8), []


def first_use():
    barrier.wait()
    try:
        polars._dependencies.numpy.ndarray
    except TypeError as error:
        errors.append(error)


threads = [Thread(target=first_use) for _ in range(8)]
for each in threads:
    each.start()
for each in threads:
    each.join()
print(len(errors))
"""


def test_threads_of_polars_find_numpy_imported() -> None:
    for _ in range(4):
        command = [sys.executable, "-c", AT_ONCE]
        done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=120, check=True)
        assert done.stdout == "0\n"
