select v.source, v.value, v.revision, b.batch_id, b.run_id, b.origin, b.sha256, b.observed_at
from raw.daily_value as v join raw.batch as b using (batch_id)
where v.series = ? and v.day = ?
order by v.source, v.revision;
