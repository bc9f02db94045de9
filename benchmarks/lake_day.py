"""The processes of `benchmarks.lake`: a bucket, a reader of one day, its attribution, and DuckDB over the same files.

Run as `python -m benchmarks.lake_day {serve FOLDER | copy BASE HOME LAYOUT | attribute BASE HOME LAYOUT |
compare FOLDER HOME LAYOUT}`. What copies and what attributes imports only what those need, as their memory is measured.
"""

import json
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final

DAY: Final = date(2026, 1, 10)
NOW: Final = datetime(2026, 1, 12, tzinfo=UTC)
MOST_BYTES: Final = 10**10
FLOWS: Final = ("miner_block_flow", "miner_transfer")
HASTE: Final = 0.02
"""Waits are as much shorter."""


def serve(folder: str) -> None:
    """The files of the lake in `folder` as a bucket of S3 on loopback, until the input ends; prints its address."""
    from tests.replay import ReplayServer
    from tests.replay.sites.lake import LakeReplay

    root = Path(folder)
    site = LakeReplay({path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*.parquet")})
    with ReplayServer([site], time_scale=HASTE) as server:
        print(server.base("lake"), flush=True)
        for _ in sys.stdin:
            print(site.sent_bytes, flush=True)


def lake(base: str, home: Path, layout: str) -> tuple[Any, Any]:
    """The source, and what it uses of the network."""
    from flows.sources.lake.aws import AWS
    from flows.sources.lake.bigquery import BIGQUERY
    from flows.sources.lake.bucket import SITE, WebBucket
    from flows.sources.lake.copies import Copies
    from flows.sources.lake.source import Lake
    from flows.sources.node.checkpoints import Checkpoints
    from flows.sources.web.access import Access
    from flows.sources.web.session import WebSession
    from flows.sources.web.usage import Usage
    from transforms.attribution.pool_names import PoolNames
    from warehouse.labels import label_set, read_csv
    from warehouse.pool_list import read_pool_list

    usage = Usage(0)
    client = WebSession(home / "web", usage, time_scale=HASTE).client(SITE, Access(url=base))
    source = Lake(
        Copies(WebBucket(client, "v1.0/btc"), home / "copies", AWS if layout == AWS.name else BIGQUERY),
        Checkpoints(home / "miner_set", "main"),
        PoolNames(read_pool_list()),
        label_set([read_csv()]),
        chain="main",
        max_bytes=MOST_BYTES,
    )
    return source, usage


def copy(base: str, home: str, layout: str) -> None:
    """Copy the large day as a shard, as a worker does; prints requests and bytes."""
    from flows.sources.protocol import DayShard
    from flows.sources.web.usage import total

    source, usage = lake(base, Path(home), layout)
    source.read(DayShard(DAY.toordinal(), DAY.toordinal()))
    used = total(usage.by_site)
    print(json.dumps({"requests": used.requests_count, "received_bytes": used.received_bytes}))


def attribute(base: str, home: str, layout: str) -> None:
    """Attribute the day from its copies, and write the flows for the comparison."""
    from flows.sources.protocol import Request
    from schemas.observations import Batch

    source, _ = lake(base, Path(home), layout)
    for number, item in enumerate(source.observe(Request(since=DAY, through=DAY, now=NOW))):
        if isinstance(item, Batch):
            if item.table in FLOWS:
                item.rows.write_parquet(Path(home) / f"{item.table}-{number:03}.parquet")
        elif "days of flows are stored" not in item.message:
            raise ValueError(item.message)


def compare(folder: str, home: str, layout: str) -> None:
    """Raise `ValueError` where flows are not those of one query over the files; prints what was compared."""
    import duckdb
    import polars as pl

    from schemas.labels import Kind
    from warehouse.labels import read_csv

    flows = pl.read_parquet(f"{home}/miner_block_flow-*.parquet")
    transfers = pl.read_parquet(f"{home}/miner_transfer-*.parquet").filter(pl.col("hop") == 0)
    ours = (flows["outflow_sat"].sum(), transfers["transfer_sat"].sum())
    labels = read_csv().rows.filter(pl.col("kind") == Kind.EXCHANGE.value).select("address").unique()
    labels.write_parquet(f"{home}/exchange.parquet")
    queries = Path(__file__).parent
    view = (queries / f"lake_rows_{layout}.sql").read_text()
    query = (queries / "lake_scan.sql").read_text()
    with duckdb.connect(config={"threads": 2}) as connection:
        connection.execute("create table exchange as from read_parquet(?)", [f"{home}/exchange.parquet"])
        paths = sorted(map(str, Path(folder).glob("transactions/*/*.parquet")))
        connection.execute(view, {"paths": paths, "last": flows["height"].max()})
        row = connection.execute(query).fetchone()
    theirs = tuple(int(sat) for sat in row or ())
    if ours != theirs or not all(ours):
        raise ValueError(f"outflow and transfers, satoshi: ours {ours}, DuckDB {theirs}")
    facts = {"blocks": flows.height, "outflow_sat": ours[0], "transfers": transfers.height, "transfer_sat": ours[1]}
    print(json.dumps(facts))


def main() -> None:
    """Do one of them."""
    chosen: dict[str, Callable[..., None]] = {"serve": serve, "copy": copy, "attribute": attribute, "compare": compare}
    chosen[sys.argv[1]](*sys.argv[2:])


if __name__ == "__main__":
    main()
