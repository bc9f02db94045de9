"""What of a block could count under any labels: the transactions of scripts that are miners' or could become so."""

import pandera.polars as pa
import polars as pl

UINT32_LIST = pl.List(pl.UInt32)

CANDIDATE_BLOCK = pa.DataFrameSchema(
    {
        "height": pa.Column(pl.Int64, unique=True, description="Height of the block"),
        "block_hash": pa.Column(pl.Binary, description="Hash of the block"),
        "time": pa.Column(pl.Int64, description="Time in the block header, Unix seconds; decides which labels count"),
        "pool": pa.Column(pl.String, description="Pool that made the block, as it was named when it was read"),
        "new_scripts": pa.Column(
            pl.List(pl.Binary), description="Scripts that no block before it in the file has; numbered through the file"
        ),
        "txid": pa.Column(
            pl.List(pl.Binary), description="Transactions in their order, the coinbase first; '' where none is needed"
        ),
        "input_count": pa.Column(UINT32_LIST, description="Inputs of each transaction"),
        "output_count": pa.Column(UINT32_LIST, description="Outputs of each transaction"),
        "input_script": pa.Column(UINT32_LIST, description="Numbers of the scripts that inputs spend"),
        "input_sat": pa.Column(pl.List(pl.Int64), description="What they spend"),
        "input_generated": pa.Column(
            pl.List(pl.Int8), description="1 where a coinbase made it, 0 where not, -1 where the node does not state it"
        ),
        "output_script": pa.Column(UINT32_LIST, description="Numbers of the scripts that outputs pay"),
        "output_sat": pa.Column(pl.List(pl.Int64), description="What they pay"),
    },
    strict=True,
    ordered=True,
    name="candidate_block",
)
"""One row a block, by height, without a gap."""
