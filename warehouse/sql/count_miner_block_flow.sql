select count(*) filter (where revision = 0), count(*) filter (where revision > 0) from raw.miner_block_flow where batch_id = ?;
