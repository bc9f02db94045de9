"""What the coinbases of a range of old blocks show: a row a block, and the scripts that each coinbase pays."""

import pandera.polars as pa
import polars as pl

from schemas.observations import BLOCK

COINBASE_SHARD = pa.DataFrameSchema(
    {
        **BLOCK.columns,
        "block_hash": pa.Column(pl.String, unique=True, description="Hash of the block"),
        "coinbase_txid": pa.Column(pl.String, description="Its coinbase transaction; two of 2010 came twice"),
        "paid_scripts": pa.Column(pl.List(pl.String), description="Scripts that it pays, in hexadecimal, in its order"),
    },
    strict=True,
    ordered=True,
    name="coinbase_shard",
)
"""One row a block, by height, without a gap."""
