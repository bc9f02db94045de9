select count(*) filter (where revision = 0), count(*) filter (where revision > 0) from raw.exchange_flow where batch_id = ?;
