select
    source, item, day, revision, value_before, value_after, difference, difference_pct, reason, detail, stated_at, observed_at
from raw.revision
order by observed_at, source, item, day, revision;
