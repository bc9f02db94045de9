-- The heights of all days on which a block or its flows were revised by the batches of a run. A day begins with the
-- first block whose own time is of it, as days never step back.
with revised as (
    select height
    from raw.miner_block_flow
    where source = $source and batch_id between $first_batch and $last_batch and revision > 0
    union all
    select height
    from raw.miner_transfer
    where source = $source and batch_id between $first_batch and $last_batch and revision > 0
    union all
    select height
    from raw.block
    where source = $source and batch_id between $first_batch and $last_batch and revision > 0
),
ends as (
    select min(height) as first_height, max(height) as last_height
    from revised
),
first_day as (
    select max(block_at)::date as day
    from raw.latest_block
    where source = $source and height < (select first_height from ends)
),
begun as (
    select least(any_value(ends.first_height), coalesce(min(block.height), any_value(ends.first_height))) as height
    from ends
    left join first_day on true
    left join raw.latest_block as block
        on block.source = $source
        and block.height < ends.first_height
        and block.block_at >= first_day.day
),
last_day as (
    select max(block_at)::date as day
    from raw.block
    where source = $source and height between (select height from begun) and (select last_height from ends)
)
select
    begun.height as first_height,
    coalesce(
        (
            select min(block.height) - 1
            from raw.latest_block as block
            where block.source = $source
                and block.height > (select last_height from ends)
                and block.block_at >= (select day + 1 from last_day)
        ),
        9223372036854775807
    ) as last_height
from begun;
