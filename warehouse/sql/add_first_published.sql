insert into ops.first_published by name
select
    $family as family,
    incoming.*,
    $now as published_at,
    $run_id as run_id
from incoming
where incoming.capitulation_state is not null
    and incoming.day not in (select day from ops.first_published where family = $family)
order by incoming.day;
