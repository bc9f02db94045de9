insert into ops.applied_set
select
    $set_id,
    $name,
    $digest,
    $run_id,
    $applied_at,
    $row_count,
    count(*) filter (where is_added),
    count(*) filter (where not is_added)
from ops.applied_row
where set_id = $set_id;
