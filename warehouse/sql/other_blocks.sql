select source, height, subsidy_claimed_sat, fees_sat
from raw.latest_block
where list_contains(getvariable('sources'), source);
