"""Decoders made by several threads at once, as when blocks of a node are read ahead."""

import re
import subprocess
import sys

from tests.invocation import REPOSITORY

AT_ONCE = """
import sys
from threading import Barrier, Thread

import msgspec

from flows.sources.decoders import decoder
from flows.sources.node.rpc import RpcResponse

sys.setswitchinterval(1e-6)  # a thread gives way wherever it can


def tried(number):
    result = msgspec.defstruct(f"Result{number}", [("height", int), ("hashes", list[str]), ("sizes", dict[str, int])])
    barrier, decoded = Barrier(4), []

    def decode():
        barrier.wait()
        body = b'{"id": 1, "result": {"height": 7, "hashes": ["a"], "sizes": {"b": 2}}}'
        decoded.append(decoder(RpcResponse[result]).decode(body).result.height)

    threads = [Thread(target=decode) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert decoded == [7] * 4, decoded


for number in range(300):
    tried(number)
"""
"""A process of its own: what goes wrong here ends it with a segmentation fault."""


def test_decoders_made_by_threads_at_once_decode() -> None:
    done = subprocess.run(
        [sys.executable, "-c", AT_ONCE], cwd=REPOSITORY, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr


def test_sources_make_no_decoder_of_their_own() -> None:
    files = (path for path in (REPOSITORY / "flows").rglob("*.py") if path.name != "decoders.py")
    own = [str(path) for path in files if re.search(r"json\.(Decoder|decode)\(", path.read_text(encoding="utf-8"))]
    assert own == []
