"""One contender as a process of its own: once and out, or once for each line it is sent.

Run as `python -m benchmarks.contender {ours,pandas,sql} HOME FOLDER [--serve]`; prints the seconds of each run.
"""

import sys
from importlib import import_module
from pathlib import Path

MODULES = {"ours": "benchmarks.ours", "pandas": "benchmarks.pandas_peer", "sql": "benchmarks.sql_peer"}


def main() -> None:
    """Load nothing but the named contender, so that imports and memory are its own."""
    name, home, folder, *rest = sys.argv[1:]
    recompute = import_module(MODULES[name]).recompute
    for _ in sys.stdin if rest == ["--serve"] else [""]:
        print(recompute(Path(home), Path(folder)), flush=True)


if __name__ == "__main__":
    main()
