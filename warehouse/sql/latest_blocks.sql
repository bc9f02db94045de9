select height, block_at, difficulty, subsidy_claimed_sat, fees_sat, pool
from raw.latest_block
where source = getvariable('source');
