select
    run_id, profile, day, fetched_until, version, started_at, ended_at,
    status, error, observed_count, new_count, revised_count, publication
from ops.run
order by run_id = ?, started_at, run_id;
