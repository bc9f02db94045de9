select * exclude (family, run_id)
from ops.first_published
where family = $family
    and published_at <= $now
order by day;
