-- Series of which values were received since a moment that are revised, or of days that were published before.
select observed.source, observed.series, min(observed.day) as first_day
from raw.daily_value as observed
join raw.batch as batch using (batch_id)
where batch.observed_at > $since and (observed.revision > 0 or observed.day <= $day)
group by observed.source, observed.series;
