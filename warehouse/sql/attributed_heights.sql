-- Heights whose flows count, each with the newest batch that states anything of it.
with stated as (
    select height, max(batch_id) as newest_batch_id
    from (
        select height, batch_id from raw.miner_block_flow where source = getvariable('source')
        union all
        select height, batch_id from raw.miner_transfer where source = getvariable('source')
    )
    group by height
)
select latest.height, stated.newest_batch_id
from raw.latest_miner_block_flow as latest
join stated on stated.height = latest.height
where latest.source = getvariable('source');
