-- A row that was released and is sent again as it was needs a decision again.
update raw.quarantine as entry
set last_seen_at = $seen_at,
    last_run_id = $run_id,
    stored_row = failed.stored_row,
    rule = failed.rule,
    reason = failed.reason,
    origin = $origin,
    place = failed.place,
    status = case when entry.status = 'released' then 'held' else entry.status end,
    decided_at = case when entry.status = 'released' then null else entry.decided_at end,
    decided_by = case when entry.status = 'released' then null else entry.decided_by end,
    note = case when entry.status = 'released' then null else entry.note end,
    released_at = null,
    released_because = null
from failed
where entry.source = $source
    and entry.observed_table = $observed_table
    and entry.row_key = failed.row_key
    and entry.received = failed.received;
