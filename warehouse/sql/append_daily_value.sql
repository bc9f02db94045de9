-- Add the rows of `incoming` that are new, or that differ from the newest revision of their key.
insert into raw.daily_value by name
select
    $source as source,
    incoming.series,
    incoming.day,
    incoming.value,
    coalesce(latest.revision + 1, 0)::smallint as revision,
    $batch_id as batch_id
from incoming
left join raw.latest_daily_value as latest
    on latest.source = $source
    and latest.series = incoming.series
    and latest.day = incoming.day
where latest.revision is null
    or latest.value is distinct from incoming.value
order by incoming.series, incoming.day;
