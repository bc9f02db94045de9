insert into ops.run (
    run_id, profile, day, fetched_until, version, started_at, is_current, status, observed_count, new_count, revised_count
)
values (?, ?, ?, ?, ?, ?, ?, 'running', 0, 0, 0)
on conflict do nothing;
