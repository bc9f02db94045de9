select count(*) filter (where revision = 0), count(*) filter (where revision > 0) from raw.filing_fact where batch_id = ?;
