select count(*), min(height), max(height), min(block_at)::date, max(block_at)::date
from raw.block
where batch_id = ?;
