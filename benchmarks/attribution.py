"""Decode and attribute blocks against a bare parse of the same bytes: whether it is right, then how long it takes.

Run as `python -m benchmarks.attribution [--quick] [--json]`. Memory is measured in processes of their own; the race
runs on one processor, DuckDB's typed scans of the same file on two.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter, process_time
from typing import Any, Final

from benchmarks.invented_blocks import World

ROOT: Final = Path(__file__).resolve().parent.parent
ROUNDS: Final = 5
LEAST_BYTES: Final = 300_000_000
QUICK_BYTES: Final = 30_000_000
STREAM_BLOCKS: Final = 2_000
QUICK_STREAM_BLOCKS: Final = 40
STREAM_PARTS: Final = 20
"""Memory is read after this part of the stream, and at its end."""
STRANGERS: Final = 5_000
ENOUGH_SCRIPTS: Final = 100_000
"""Below this, what a script costs drowns in what the allocator keeps."""
STATE_SCRIPTS: Final = 1_000_000
"""As many 0-hop scripts as a set of the whole main network may have; the race looks up every script among them."""
TARGET_RATIO: Final = 3.0
BYTES_PER_MIB: Final = 1 << 20


def main() -> None:
    """Run the whole benchmark; exit with 1 where a result is wrong or a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the bytes, one round")
    parser.add_argument("--json", action="store_true", help="print the figures for programs")
    parser.add_argument("--stream", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--new-miners", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--state", type=int, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.stream is not None:
        print(json.dumps(streamed(chosen.stream, new_miners=chosen.new_miners)))
        return
    if chosen.state is not None:
        print(json.dumps(state_of(chosen.state)))
        return
    figures = measured(quick=chosen.quick)
    print(json.dumps(figures, indent=2) if chosen.json else "\n".join(f"{k}: {v}" for k, v in figures.items()))
    sys.exit(
        0
        if figures["equal to the rules by hand"]
        and figures["equal to DuckDB"]
        and figures["ratio to orjson"] >= TARGET_RATIO
        else 1
    )


def measured(*, quick: bool) -> dict[str, Any]:
    """All figures, in the order in which they are best read."""
    # Children first: a child inherits the peak memory of whoever starts it.
    stream = str(QUICK_STREAM_BLOCKS if quick else STREAM_BLOCKS)
    streams = {
        "the same miners": _child("--stream", stream),
        "new miners every time": _child("--stream", stream, "--new-miners"),
    }
    state = _child("--state", str(STATE_SCRIPTS // 10 if quick else STATE_SCRIPTS))
    world = World()
    raw_blocks = list(_at_least(QUICK_BYTES if quick else LEAST_BYTES, world.blocks(10_000)))
    size = sum(map(len, raw_blocks))
    facts: dict[str, Any] = {
        "blocks": len(raw_blocks),
        "MB": round(size / 1e6, 1),
        "equal to the rules by hand": _equal_by_hand(world, raw_blocks[: 2 if quick else 4]),
    }
    seconds = _race(world, raw_blocks, 1 if quick else ROUNDS)
    facts |= {f"{name}, s": round(value, 3) for name, value in seconds.items()}
    facts |= {
        "ratio to orjson": round(seconds["orjson.loads"] / seconds["decode and attribute"], 2),
        "decode alone, ratio": round(seconds["orjson.loads"] / seconds["decode"], 2),
        "MB a second": round(size / 1e6 / seconds["decode and attribute"]),
        "ms a block": round(1e3 * seconds["decode and attribute"] / len(raw_blocks), 1),
    }
    with TemporaryDirectory() as folder:
        facts |= _duckdb(Path(folder), world, raw_blocks, 1 if quick else ROUNDS)
    for name in ("bare scan", "equal work"):
        facts[f"ratio to DuckDB, {name}"] = round(facts[f"DuckDB {name}, s"] / seconds["decode and attribute"], 2)
    for who, stream_facts in streams.items():
        for number, memory in stream_facts["after"].items():
            facts[f"pools pay {who}, after {int(number):,} full blocks"] = memory
        facts[f"pools pay {who}, bytes a 1-hop script"] = stream_facts["bytes a 1-hop script"]
    return facts | {f"miner set of {state['scripts']:,} scripts, {k}": v for k, v in state.items() if k != "scripts"}


def _duckdb(folder: Path, world: World, raw_blocks: Sequence[bytes], rounds: int) -> dict[str, Any]:
    """Seconds of both scans, and whether the one that does our work finds what we find."""
    import msgspec

    from benchmarks import duckdb_scan
    from schemas.miner_set import MinerSet
    from schemas.node_block import NodeBlock
    from transforms.attribution.blocks import attribute

    crowd, decoder, pools = _crowd(STATE_SCRIPTS), msgspec.json.Decoder(NodeBlock), _pools()
    path = folder / "blocks.ndjson"
    path.write_bytes(b"\n".join(raw_blocks) + b"\n")
    scan = duckdb_scan.Scan(path, crowd.index, world.exchanges)
    miners = MinerSet(zero_hop=crowd)
    flows = [attribute(decoder.decode(block), miners, world.exchanges, pools) for block in raw_blocks]
    transfers = sum(t.transfer_sat for block in flows for t in block.transfers if t.hop == 0)
    with _processors(duckdb_scan.THREADS):
        facts: dict[str, Any] = {
            "equal to DuckDB": scan.attributed() == (sum(block.outflow_sat for block in flows), transfers)
        }
        for name, query in (("bare scan", scan.bare), ("equal work", scan.attributed)):
            facts[f"DuckDB {name}, s"] = round(duckdb_scan.timed(query, rounds), 3)
    return facts


def _at_least(size: int, blocks: Iterator[bytes]) -> Iterator[bytes]:
    held = 0
    for block in blocks:
        yield block
        held += len(block)
        if held >= size:
            return


def _child(*options: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.attribution", *options]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def _equal_by_hand(world: World, raw_blocks: Sequence[bytes]) -> bool:
    """Whether the transfers and sums are those of the slow second implementation that the tests use."""
    import msgspec

    from benchmarks.rules_by_hand import ByHand
    from schemas.miner_set import MinerSet
    from schemas.node_block import NodeBlock
    from transforms.attribution.blocks import attribute

    decoder, miners, pools = msgspec.json.Decoder(NodeBlock), MinerSet(), _pools()
    flows = [attribute(decoder.decode(block), miners, world.exchanges, pools) for block in raw_blocks]
    by_hand = ByHand(world.exchanges, {block.height: block.pool for block in flows})
    for block in raw_blocks:
        by_hand.walk(json.loads(block, parse_float=str))
    sums = [(b.outflow_sat, b.inflow_sat, b.fee_sat, b.one_hop_outflow_sat) for b in flows]
    transfers = [tuple(transfer) for block in flows for transfer in block.transfers]
    progress(f"{len(transfers):,} transfers in {len(raw_blocks)} blocks compared")
    return transfers == by_hand.rows and sums == [(b["out"], b["in"], b["fee"], b["out1"]) for b in by_hand.blocks]


def _race(world: World, raw_blocks: Sequence[bytes], rounds: int) -> dict[str, float]:
    """Median processor seconds of each contender on one processor; they take turns, so that a busy moment hits all.

    Processor time and not the clock's, because a contender that uses one processor uses it all, and others may too.
    """
    import msgspec
    import orjson

    from schemas.miner_set import MinerSet
    from schemas.node_block import NodeBlock
    from transforms.attribution.blocks import attribute

    decoder, pools, exchanges = msgspec.json.Decoder(NodeBlock), _pools(), world.exchanges
    miners = MinerSet(zero_hop=_crowd(STATE_SCRIPTS))

    def bare() -> None:
        for block in raw_blocks:
            orjson.loads(block)

    def decode() -> None:
        for block in raw_blocks:
            decoder.decode(block)

    def ours() -> None:
        miners.height = None  # Every round walks the same blocks.
        for block in raw_blocks:
            attribute(decoder.decode(block), miners, exchanges, pools)

    contenders: dict[str, Callable[[], None]] = {
        "orjson.loads": bare,
        "decode": decode,
        "decode and attribute": ours,
    }
    with _processors(1):
        taken: dict[str, list[float]] = {name: [] for name in contenders}
        for _ in range(rounds):
            for name, contender in contenders.items():
                started = process_time()
                contender()
                taken[name].append(process_time() - started)
    for name, times in taken.items():
        progress(f"{name}: {', '.join(f'{t:.3f}' for t in times)} s")
    return {name: median(times) for name, times in taken.items()}


class _processors:
    """Give this process `count` processors for a while, where the system can."""

    def __init__(self, count: int) -> None:
        self._count = count

    def __enter__(self) -> None:
        if hasattr(os, "sched_setaffinity"):
            self._before = os.sched_getaffinity(0)
            os.sched_setaffinity(0, sorted(self._before)[: self._count])

    def __exit__(self, *_: object) -> None:
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, self._before)


def streamed(count: int, *, new_miners: bool) -> dict[str, Any]:
    """Memory after a twentieth of `count` full blocks, and after all of them; they are made one by one."""
    import msgspec

    from schemas.miner_set import MinerSet
    from schemas.node_block import NodeBlock
    from transforms.attribution.blocks import attribute

    world, miners, pools = World(new_miners=new_miners, strangers_count=STRANGERS), MinerSet(), _pools()
    decoder, sizes = msgspec.json.Decoder(NodeBlock), {}
    for number, block in enumerate(world.blocks(count), 1):
        attribute(decoder.decode(block), miners, world.exchanges, pools)
        if number in (count // STREAM_PARTS, count):
            sizes[number] = {
                "peak MiB": _memory_mib("VmHWM"),
                "held MiB": _memory_mib("VmRSS"),
                "1-hop scripts": len(miners.one_hop.credits),
                "scripts with partners": len(miners.one_hop.partners),
            }
    return {"after": sizes, "bytes a 1-hop script": _bytes_a_script(*sizes.values())}


def _bytes_a_script(early: dict[str, int], late: dict[str, int]) -> int | None:
    more = late["1-hop scripts"] - early["1-hop scripts"]
    if more < ENOUGH_SCRIPTS:
        return None
    return round((late["held MiB"] - early["held MiB"]) * BYTES_PER_MIB / more)


def state_of(scripts: int) -> dict[str, Any]:
    """What a miner set of `scripts` 0-hop scripts costs: memory, bytes on disk, seconds to write and to read."""
    from schemas.miner_set import MinerSet
    from warehouse.miner_set import load_miner_set, save_miner_set

    before = _memory_mib("VmHWM")
    miners = MinerSet(height=1, block_hash="00", zero_hop=_crowd(scripts))
    held = _memory_mib("VmHWM") - before
    with TemporaryDirectory() as folder:
        path = Path(folder) / "miners"
        started = perf_counter()
        save_miner_set(path, miners)
        saved = perf_counter()
        size = path.stat().st_size
        del miners
        loading = perf_counter()
        loaded = load_miner_set(path)
        seconds = perf_counter() - loading
    return {
        "scripts": len(loaded.zero_hop),
        "MiB in memory": round(held),
        "MB on disk": round(size / 1e6, 1),
        "save s": round(saved - started, 2),
        "load s": round(seconds, 2),
    }


def _crowd(count: int) -> Any:
    """A 0-hop set of `count` scripts that nobody uses."""
    from schemas.miner_set import ZeroHop

    zero_hop = ZeroHop()
    for i in range(count):
        zero_hop.pay(f"76a914{i:040x}88ac", i, "antpool")
    return zero_hop


def _memory_mib(which: str) -> int:
    """Highest (VmHWM) or present (VmRSS) memory of this process; the kernel's own figures, without the parent's."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        import resource

        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit // BYTES_PER_MIB
    return int(next(line for line in lines if line.startswith(which)).split()[1]) // 1024


def _pools() -> Any:
    from transforms.attribution.pool_names import PoolNames
    from warehouse.pool_list import read_pool_list

    return PoolNames(read_pool_list())


def progress(text: str) -> None:
    """Print to standard error, so that `--json` stays JSON."""
    print(text, file=sys.stderr)


if __name__ == "__main__":
    main()
