-- Rows by which sets that apply since a moment differ from those before; a first set differs from nothing known.
select changed.name, changed.content
from ops.applied_row as changed
join ops.applied_set as later using (set_id)
where later.applied_at > $since
    and exists (from ops.applied_set as earlier where earlier.name = later.name and earlier.set_id < later.set_id);
