-- The first heights of the days of a span, up to the first block that a run has revised: below it, days begin at the
-- same heights before and after the run.
with dated as (
    select height, (max(block_at) over (order by height))::date as day
    from raw.latest_block
    where source = $source
        and height between $first_height and $last_height
        and height < coalesce(
            (
                select min(height)
                from raw.block
                where source = $source and batch_id between $first_batch and $last_batch and revision > 0
            ),
            9223372036854775807
        )
)
select min(height) as height
from dated
group by day
order by height;
