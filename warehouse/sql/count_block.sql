select count(*) filter (where revision = 0), count(*) filter (where revision > 0) from raw.block where batch_id = ?;
