"""Decoders of JSON, each made once and one at a time.

Trap: msgspec examines a class at the first use of it. A thread that makes a decoder while another one still examines
the same class gets one that ends the process with a segmentation fault (msgspec 0.22).
"""

from collections.abc import Hashable
from functools import cache
from threading import Lock
from typing import Any, Final, TypeVar, cast

import msgspec

Kind = TypeVar("Kind")

_ONE_AT_A_TIME: Final = Lock()


def decoder(kind: type[Kind]) -> msgspec.json.Decoder[Kind]:
    """The decoder for a type, which must be hashable. Its `decode` raises `msgspec.DecodeError`."""
    with _ONE_AT_A_TIME:
        return _made(cast(Hashable, kind))


@cache
def _made(kind: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)
