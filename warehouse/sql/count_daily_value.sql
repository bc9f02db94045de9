select count(*) filter (where revision = 0), count(*) filter (where revision > 0) from raw.daily_value where batch_id = ?;
