-- Heights whose flows were received since a moment and are revised, or were read late, by what changed.
with received as (
    select flow.*
    from raw.miner_block_flow as flow
    join raw.batch as batch using (batch_id)
    where batch.observed_at > $since
)
select
    later.source,
    case
        when earlier.height is null then 'new'
        when later.is_retracted or earlier.is_retracted or later.block_hash <> earlier.block_hash then 're-organisation'
        when later.label_set <> earlier.label_set then 'labels'
        else 'source'
    end as what,
    min(later.height) as first_height,
    max(later.height) as last_height
from received as later
left join raw.miner_block_flow as earlier
    on earlier.source = later.source and earlier.height = later.height and earlier.revision = later.revision - 1
group by all;
