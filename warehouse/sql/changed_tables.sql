-- Raw tables beside values, blocks and their flows that a source has stated something new of since a moment.
select distinct source, observed_table
from raw.batch
where observed_at > $since and new_count + revised_count > 0
    and observed_table in ('exchange_flow', 'filing', 'filing_fact');
