-- Blocks that were received since a moment and are revised, or of days that were published before, by what changed.
with received as (
    select block.*
    from raw.block as block
    join raw.batch as batch using (batch_id)
    where batch.observed_at > $since
)
select
    later.source,
    case
        when earlier.height is null then 'source'
        when later.is_retracted or earlier.is_retracted or later.block_at is distinct from earlier.block_at
            then 're-organisation'
        when later.pool is distinct from earlier.pool
            and later.subsidy_claimed_sat is not distinct from earlier.subsidy_claimed_sat
            and later.fees_sat is not distinct from earlier.fees_sat
            and later.difficulty is not distinct from earlier.difficulty
            then 'pool'
        else 'source'
    end as what,
    min(least(later.block_at, coalesce(earlier.block_at, later.block_at)))::date as first_day
from received as later
left join raw.block as earlier
    on earlier.source = later.source and earlier.height = later.height and earlier.revision = later.revision - 1
where later.revision > 0 or later.block_at::date <= $day
group by all;
