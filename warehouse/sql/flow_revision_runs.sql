-- Runs that revised blocks or their flows since revisions were last summed up by day: source, run, first and last batch.
with summed as (
    select source, max(batch_id) as batch_id
    from raw.batch
    where observed_table = 'flow_revision'
    group by source
)
select
    batch.source,
    batch.run_id,
    min(batch.batch_id) as first_batch,
    max(batch.batch_id) as last_batch,
    max(batch.observed_at) as observed_at
from raw.batch as batch
left join summed on summed.source = batch.source
where batch.observed_table in ('block', 'miner_block_flow', 'miner_transfer')
    and batch.revised_count > 0
    and batch.batch_id > coalesce(summed.batch_id, 0)
group by batch.source, batch.run_id
order by first_batch;
