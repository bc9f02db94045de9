insert into raw.quarantine by name
select
    $first_id + row_number() over (order by failed.place_in_batch) - 1 as entry_id,
    $source as source,
    $observed_table as observed_table,
    failed.row_key,
    failed.day,
    failed.received,
    failed.stored_row,
    failed.rule,
    failed.reason,
    $origin as origin,
    failed.place,
    'held' as status,
    $seen_at as first_seen_at,
    $seen_at as last_seen_at,
    $run_id as first_run_id,
    $run_id as last_run_id
from failed
anti join raw.quarantine as entry
    on entry.source = $source
    and entry.observed_table = $observed_table
    and entry.row_key = failed.row_key
    and entry.received = failed.received;
