"""Seconds inside each of our functions, as a tree of calls, without a change to any of them.

The interpreter reports each call of Python code; what is not ours is passed over, so that a step includes what Polars,
DuckDB and Pandera do for it. Reporting costs a constant for each call, which is why no total is taken from here.
"""

import sys
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from types import CodeType, FrameType
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parent.parent
OURS: Final = ("flows", "schemas", "transforms", "warehouse")
DEPTH: Final = 5
NAMED_BY: Final = {"enforce": ("schema", "name"), "_derived": ("table", "name"), "append": ("batch", "table")}
"""Functions that are steps of their own for each value of this part of one of their parameters."""
SEPARATOR: Final = " > "

Step = tuple[str, ...]


@contextmanager
def measured() -> Iterator[dict[Step, float]]:
    """Yield what becomes the seconds of each step; a step is the path of calls that leads to it."""
    seconds: dict[Step, float] = defaultdict(float)
    running = threading.local()
    names: dict[CodeType, str | None] = {}

    def report(frame: FrameType, event: str, _: Any) -> None:
        if event not in ("call", "return"):
            return
        code = frame.f_code
        if code not in names:
            names[code] = _name(code)
        name = names[code]
        if name is None:
            return
        stack: list[tuple[Step, float]] = running.__dict__.setdefault("stack", [])
        if event == "call":
            parent = stack[-1][0] if stack else ()
            stack.append(((*parent, _labelled(name, frame)), perf_counter()))
        elif stack:
            step, started = stack.pop()
            if len(step) <= DEPTH:
                seconds[step] += perf_counter() - started

    threading.setprofile(report)
    sys.setprofile(report)
    try:
        yield seconds
    finally:
        sys.setprofile(None)
        threading.setprofile(None)


def _name(code: CodeType) -> str | None:
    """Module and name of a function of ours; None of any other, and of what has no name."""
    if "<" in code.co_name:
        return None
    try:
        path = Path(code.co_filename).relative_to(ROOT)
    except ValueError:
        return None
    if path.parts[0] not in OURS:
        return None
    return f"{path.with_suffix('').parts[-1]}.{code.co_name}"


def _labelled(name: str, frame: FrameType) -> str:
    parameter, part = NAMED_BY.get(frame.f_code.co_name, ("", ""))
    value = frame.f_locals.get(parameter)
    return name if value is None else f"{name}[{getattr(value, part, '')}]"
