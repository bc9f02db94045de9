"""What describes a version as JSON that people read too."""

from collections.abc import Mapping
from typing import Any

import msgspec


def as_json(stated: Mapping[str, Any]) -> bytes:
    """An object in lines, indented by two, with a newline at its end."""
    # The standard library indents in Python: for these thousands of values that took longer than most tables.
    return msgspec.json.format(msgspec.json.encode(stated)) + b"\n"
