"""Our extraction from a node against bitcoin-etl's, through one loopback server: whether they agree, then how long.

Run as `python -m benchmarks.bitcoin_etl [--quick] [--json]` after `make .venv/.peers`. bitcoin-etl requests each block
without prevouts and then for every transaction that the block spends from; we request the block with prevouts. Both
read the same invented full blocks. What each input spends and each fee must be equal before anything is timed.
"""

import argparse
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any, Final

from benchmarks.measure import ROOT, FailedError, pin, run

BITCOIN_ETL: Final = ROOT / ".venv" / "peers" / "bin" / "bitcoinetl"
BLOCKS: Final = 21
QUICK_BLOCKS: Final = 2
ROUNDS: Final = 3
TRANSACTIONS: Final = (2_000, 3_500)
QUICK_TRANSACTIONS: Final = (150, 200)
TARGET_RATIO: Final = 20.0
EXPORT: Final = ("--batch-size", "1", "--max-workers", "1")
ENRICH: Final = ("--batch-size", "100", "--max-workers", "1")
"""The fastest of 1, 2 and 5 workers and batches of 10 to 5,000; its own defaults (10, 5 workers) took twice as long.

It computes under one interpreter lock, so that more workers only get into each other's way.
"""
STEPS: Final = ("bitcoin-etl export", "bitcoin-etl enrich", "hashpivot")


@dataclass(frozen=True, slots=True)
class Spent:
    """What one run took: seconds by the clock, of its own processor and of the server's; and what it requested."""

    wall_s: float
    cpu_s: float
    server_cpu_s: float
    peak_mib: float
    requests: int
    megabytes: float


class Server:
    """The loopback node in its own process."""

    def __init__(self, blocks: int, transactions: tuple[int, int]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.loopback_node", *map(str, (blocks, *transactions))],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.facts = self._line()
        self.heights = range(self.facts["first_height"], self.facts["last_height"] + 1)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.facts["port"])

    def cost(self) -> dict[str, Any]:
        """Processor seconds, requests and megabytes since the last reading."""
        print(file=self._process.stdin, flush=True)
        return self._line()

    def leave(self) -> None:
        """Let it end."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait()

    def _line(self) -> dict[str, Any]:
        line = self._process.stdout.readline() if self._process.stdout else ""
        if not line:
            raise FailedError("the loopback node ended")
        facts: dict[str, Any] = json.loads(line)
        return facts


def main() -> None:
    """Compare, measure, print; exit with 1 where a result differs or the target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two small blocks, one round: only whether they agree")
    parser.add_argument("--json", action="store_true", help="print the figures for programs")
    chosen = parser.parse_args()
    pin()
    if not BITCOIN_ETL.exists():
        progress("bitcoin-etl is missing; run `make .venv/.peers`")
        sys.exit(2)
    try:
        figures = measured(quick=chosen.quick)
    except FailedError as error:
        progress(str(error))
        sys.exit(1)
    print(json.dumps(figures, indent=2) if chosen.json else "\n".join(f"{k}: {v}" for k, v in figures.items()))
    sys.exit(0 if chosen.quick or min(figures["ratio"], figures["ratio of processor time"]) >= TARGET_RATIO else 1)


def measured(*, quick: bool) -> dict[str, Any]:
    """All figures. Raises `FailedError` where the results differ."""
    server = Server(QUICK_BLOCKS if quick else BLOCKS, QUICK_TRANSACTIONS if quick else TRANSACTIONS)
    try:
        with TemporaryDirectory() as name:
            folder = Path(name)
            over_one, over_all = (commands(server, folder, part) for part in (server.heights[:1], server.heights))
            for step in STEPS:
                timed(server, over_one[step])
                timed(server, over_all[step])
            # In a process of its own: those that are measured inherit the peak memory of this one.
            where = (server.port, server.heights[0], server.heights[-1], enriched(folder, server.heights))
            equal = {"equal": True, "inputs compared": int(run("benchmarks.bitcoin_etl_equality", *where).output)}
            progress(f"{equal['inputs compared']:,} inputs are equal")
            one: dict[str, list[Spent]] = {step: [] for step in STEPS}
            whole: dict[str, list[Spent]] = {step: [] for step in STEPS}
            for _ in range(1 if quick else ROUNDS):
                for step in STEPS:
                    one[step].append(timed(server, over_one[step]))
                    whole[step].append(timed(server, over_all[step]))
    finally:
        server.leave()
    facts = {"blocks": len(server.heights), "MB": server.facts["megabytes"]}
    return facts | equal | figures_of(len(server.heights), one, whole)


def commands(server: Server, folder: Path, heights: range) -> dict[str, list[str]]:
    """The command line of each step over `heights`. Both have a user and a password, which are not checked."""
    first, last, node = str(heights[0]), str(heights[-1]), f"http://user:pass@127.0.0.1:{server.port}"
    blocks, transactions = (str(folder / f"{kind}_{len(heights)}.json") for kind in ("blocks", "transactions"))
    export, enrich, ours = STEPS
    return {
        export: [
            *(str(BITCOIN_ETL), "export_blocks_and_transactions", *EXPORT, "--provider-uri", node),
            *("--start-block", first, "--end-block", last),
            *("--blocks-output", blocks, "--transactions-output", transactions),
        ],
        enrich: [
            *(str(BITCOIN_ETL), "enrich_transactions", *ENRICH, "--provider-uri", node),
            *("--transactions-input", transactions, "--transactions-output", str(enriched(folder, heights))),
        ],
        ours: [sys.executable, "-m", "benchmarks.node_extraction", str(server.port), first, last, str(folder)],
    }


def enriched(folder: Path, heights: range) -> Path:
    """Where bitcoin-etl's last step writes."""
    return folder / f"enriched_{len(heights)}.json"


def timed(server: Server, command: list[str]) -> Spent:
    """Run `command` to its end. Raises `FailedError` with its output where it fails."""
    server.cost()
    started = perf_counter()
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    output = process.stdout.read() if process.stdout else ""
    _, status, usage = os.wait4(process.pid, 0)
    wall_s = perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise FailedError(output.strip())
    cost = server.cost()
    return Spent(wall_s, usage.ru_utime + usage.ru_stime, cost["cpu_s"], usage.ru_maxrss / 1024, *cost["requested"])


def figures_of(count: int, one: dict[str, list[Spent]], whole: dict[str, list[Spent]]) -> dict[str, Any]:
    """Medians and their ratios. What a run over just the first block took is subtracted, so that no start counts."""
    figures: dict[str, Any] = {"load": round(os.getloadavg()[0], 1)}
    a_block: dict[str, dict[str, float]] = {}
    for step in STEPS:
        a_block[step] = {}
        for what in ("wall_s", "cpu_s", "server_cpu_s"):
            more = [getattr(b, what) - getattr(a, what) for a, b in zip(one[step], whole[step], strict=True)]
            a_block[step][what] = median(more) / (count - 1)
            figures[f"{step}, {what} a block"] = round(a_block[step][what], 4)
        last = whole[step][-1]
        figures[f"{step}, wall_s of each round"] = [round(each.wall_s, 2) for each in whole[step]]
        figures[f"{step}, requested"] = f"{last.megabytes:.0f} MB in {last.requests:,} requests"
        figures[f"{step}, peak MiB"] = round(max(each.peak_mib for each in whole[step]))
    *theirs, ours = STEPS
    for name, what in (("ratio", "wall_s"), ("ratio of processor time", "cpu_s")):
        figures[name] = round(sum(a_block[step][what] for step in theirs) / a_block[ours][what], 1)
    walls = {step: median(each.wall_s for each in whole[step]) for step in STEPS}
    figures["ratio of whole runs, starts included"] = round(sum(walls[step] for step in theirs) / walls[ours], 1)
    return figures


def progress(text: str) -> None:
    """Print to standard error, so that `--json` stays JSON."""
    print(text, file=sys.stderr)


if __name__ == "__main__":
    main()
