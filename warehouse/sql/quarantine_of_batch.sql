select entry.status, entry.entry_id >= $first_id as is_new, failed.place || ': ' || failed.reason as message
from raw.quarantine as entry
join failed on entry.row_key = failed.row_key and entry.received = failed.received
where entry.source = $source
    and entry.observed_table = $observed_table
order by failed.place_in_batch;
