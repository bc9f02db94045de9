select count(*) filter (where revision = 0), count(*) filter (where revision > 0) from raw.filing where batch_id = ?;
