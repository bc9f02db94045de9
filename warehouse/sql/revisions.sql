select source, item, day, revision, value_before, value_after, observed_at
from raw.revision
order by observed_at, source, item, day, revision;
