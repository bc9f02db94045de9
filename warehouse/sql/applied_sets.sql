select name, digest, run_id, applied_at, row_count, added_count, removed_count
from ops.applied_set
order by set_id;
