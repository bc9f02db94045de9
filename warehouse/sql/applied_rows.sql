-- Rows of the newest set of a name, those that later sets removed left out. Takes the variable `name`.
select content
from ops.applied_row
where name = getvariable('name')
group by content
having sum(case when is_added then 1 else -1 end) > 0
order by content;
