-- The newest publication that readers had of a profile by a moment: run, its one clock reading, its last day.
select run_id, started_at, day
from ops.run
where status = 'published' and coalesce(is_current, true) and profile = $profile and started_at <= $moment
order by started_at desc, run_id desc
limit 1;
