-- Of a key only what the source sent last waits for a decision.
update raw.quarantine as entry
set status = 'released',
    released_at = $released_at,
    released_because = 'the source sent another row in its place, which failed too'
from (select distinct row_key from failed) as latest
where entry.source = $source
    and entry.observed_table = $observed_table
    and entry.row_key = latest.row_key
    and entry.status = 'held'
    and entry.last_run_id <> $run_id
returning entry.entry_id;
