select count(*) filter (where revision = 0), count(*) filter (where revision > 0) from raw.miner_transfer where batch_id = ?;
