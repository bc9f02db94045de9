-- Entries that a sound row would take the place of. What this run has received itself stands beside it.
select entry_id, row_key
from raw.quarantine
where source = $source
    and observed_table = $observed_table
    and status in ('held', 'accepted')
    and last_run_id <> $run_id;
