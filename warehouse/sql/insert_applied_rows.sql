-- The rows by which `given` differs from the newest set of that name.
insert into ops.applied_row
with present as (
    select content
    from ops.applied_row
    where name = $name
    group by content
    having sum(case when is_added then 1 else -1 end) > 0
)
select $set_id, $name, content, true
from given
anti join present using (content)
union all
select $set_id, $name, content, false
from present
anti join given using (content);
