"""Our extraction from a node against bitcoin-etl's, on one real Bitcoin Core: whether they agree, then how long.

Run as `python -m benchmarks.bitcoin_etl [--quick] [--json]` after `make .venv/.peers`. bitcoin-etl requests each block
without prevouts and then every transaction that the block spends from; we request the block and what it spends as bytes
over REST, or the block with prevouts over RPC. All read the same full blocks of a regtest chain (`live_chain.py`). What
each input spends and each fee must be equal before anything is timed.
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

from benchmarks.live_chain import RPC_PASSWORD, RPC_USER, LiveChain, opened
from benchmarks.measure import ROOT, FailedError, pin, run
from benchmarks.node_extraction import WAYS

BITCOIN_ETL: Final = ROOT / ".venv" / "peers" / "bin" / "bitcoinetl"
BLOCKS: Final = 16
QUICK_BLOCKS: Final = 2
ROUNDS: Final = 3
TRANSACTIONS: Final = (2_000, 3_000)
QUICK_TRANSACTIONS: Final = (150, 200)
TARGET_RATIO: Final = 20.0
EXPORT: Final = ("--batch-size", "1", "--max-workers", "1")
ENRICH: Final = ("--batch-size", "100", "--max-workers", "1")
"""The fastest of 1, 2 and 5 workers and batches of 10 to 5,000; its own defaults (10, 5 workers) took twice as long.

It computes under one interpreter lock, so that more workers only get into each other's way.
"""
OURS: Final = {f"hashpivot over {way.upper()}": way for way in WAYS}
STEPS: Final = ("bitcoin-etl export", "bitcoin-etl enrich", *OURS)
TICK_S: Final = 1 / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Spent:
    """What one run took: seconds by the clock, of its own processor and of the node's."""

    wall_s: float
    cpu_s: float
    node_cpu_s: float
    peak_mib: float


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
    except FileNotFoundError as error:
        progress(str(error))
        sys.exit(2)
    except FailedError as error:
        progress(str(error))
        sys.exit(1)
    print(json.dumps(figures, indent=2) if chosen.json else "\n".join(f"{k}: {v}" for k, v in figures.items()))
    sys.exit(0 if chosen.quick or figures["hashpivot over REST, ratio by the clock"] >= TARGET_RATIO else 1)


def measured(*, quick: bool) -> dict[str, Any]:
    """All figures. Raises `FailedError` where the results differ."""
    chain = opened(QUICK_BLOCKS if quick else BLOCKS, QUICK_TRANSACTIONS if quick else TRANSACTIONS)
    try:
        with TemporaryDirectory() as name:
            folder = Path(name)
            over_one, over_all = (commands(chain, folder, part) for part in (chain.heights[:1], chain.heights))
            for step in STEPS:
                timed(chain, over_one[step])
                timed(chain, over_all[step])
            # In a process of its own: those that are measured inherit the peak memory of this one.
            where = (chain.node.port, chain.heights[0], chain.heights[-1], enriched(folder, chain.heights))
            equal = {"equal": True, "inputs compared": int(run("benchmarks.bitcoin_etl_equality", *where).output)}
            progress(f"{equal['inputs compared']:,} inputs are equal")
            one: dict[str, list[Spent]] = {step: [] for step in STEPS}
            whole: dict[str, list[Spent]] = {step: [] for step in STEPS}
            for _ in range(1 if quick else ROUNDS):
                for step in STEPS:
                    one[step].append(timed(chain, over_one[step]))
                    whole[step].append(timed(chain, over_all[step]))
            headers = [chain.node.call("getblockheader", chain.node.hash(height)) for height in chain.heights]
            transactions = round(sum(header["nTx"] for header in headers) / len(headers))
    finally:
        chain.node.stop()
    facts = {"blocks": len(chain.heights), "transactions a block": transactions}
    return facts | equal | figures_of(len(chain.heights), one, whole)


def commands(chain: LiveChain, folder: Path, heights: range) -> dict[str, list[str]]:
    """The command line of each step over `heights`."""
    first, last, port = str(heights[0]), str(heights[-1]), str(chain.node.port)
    node = f"http://{RPC_USER}:{RPC_PASSWORD}@127.0.0.1:{port}"
    blocks, transactions = (str(folder / f"{kind}_{len(heights)}.json") for kind in ("blocks", "transactions"))
    export, enrich, *_ = STEPS
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
        **{
            ours: [sys.executable, "-m", "benchmarks.node_extraction", port, first, last, str(folder), way]
            for ours, way in OURS.items()
        },
    }


def enriched(folder: Path, heights: range) -> Path:
    """Where bitcoin-etl's last step writes."""
    return folder / f"enriched_{len(heights)}.json"


def timed(chain: LiveChain, command: list[str]) -> Spent:
    """Run `command` to its end. Raises `FailedError` with its output where it fails."""
    node_before_s = processor_s(chain.node.pid)
    started = perf_counter()
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    output = process.stdout.read() if process.stdout else ""
    _, status, usage = os.wait4(process.pid, 0)
    wall_s = perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise FailedError(output.strip())
    node_s = processor_s(chain.node.pid) - node_before_s
    return Spent(wall_s, usage.ru_utime + usage.ru_stime, node_s, usage.ru_maxrss / 1024)


def processor_s(pid: int) -> float:
    """Processor seconds that a running process has taken, its threads together."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * TICK_S


def figures_of(count: int, one: dict[str, list[Spent]], whole: dict[str, list[Spent]]) -> dict[str, Any]:
    """Medians and their ratios. What a run over just the first block took is subtracted, so that no start counts."""
    figures: dict[str, Any] = {"load": round(os.getloadavg()[0], 1)}
    a_block: dict[str, dict[str, float]] = {}
    for step in STEPS:
        a_block[step] = {}
        for what in ("wall_s", "cpu_s", "node_cpu_s"):
            more = [getattr(b, what) - getattr(a, what) for a, b in zip(one[step], whole[step], strict=True)]
            a_block[step][what] = median(more) / (count - 1)
            figures[f"{step}, {what} a block"] = round(a_block[step][what], 4)
        figures[f"{step}, wall_s of each round"] = [round(each.wall_s, 2) for each in whole[step]]
        figures[f"{step}, peak MiB"] = round(max(each.peak_mib for each in whole[step]))
    theirs = STEPS[: -len(OURS)]
    walls = {step: median(each.wall_s for each in whole[step]) for step in STEPS}
    for ours in OURS:
        for name, what in (("by the clock", "wall_s"), ("of processor time", "cpu_s")):
            figures[f"{ours}, ratio {name}"] = round(
                sum(a_block[step][what] for step in theirs) / a_block[ours][what], 1
            )
        both = [sum(a_block[step][what] for what in ("cpu_s", "node_cpu_s")) for step in (*theirs, ours)]
        figures[f"{ours}, ratio of processor time with the node's"] = round(sum(both[:-1]) / both[-1], 1)
        figures[f"{ours}, ratio of whole runs, starts included"] = round(
            sum(walls[step] for step in theirs) / walls[ours], 1
        )
    return figures


def progress(text: str) -> None:
    """Print to standard error, so that `--json` stays JSON."""
    print(text, file=sys.stderr)


if __name__ == "__main__":
    main()
