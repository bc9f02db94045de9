-- A source whose chain has got shorter, or another branch, no longer has some of the blocks that it stated. Nothing is
-- removed: a retraction is one more revision with the cells of the one before, and a height that comes back is the next.
alter table raw.block add column is_retracted boolean default false;
alter table raw.miner_block_flow add column is_retracted boolean default false;

-- The newest revision of each key, retracted or not: what the next revision is counted from.
create view raw.newest_block as
with revised as (
    select source, height, max(revision) as revision
    from raw.block
    where revision > 0
    group by source, height
)
select block.*
from raw.block as block
left join revised on revised.source = block.source and revised.height = block.height
where block.revision = coalesce(revised.revision, 0);

create or replace view raw.latest_block as
from raw.newest_block
where not is_retracted;

create view raw.newest_miner_block_flow as
with revised as (
    select source, height, max(revision) as revision
    from raw.miner_block_flow
    where revision > 0
    group by source, height
)
select miner_block_flow.*
from raw.miner_block_flow as miner_block_flow
left join revised
    on revised.source = miner_block_flow.source
    and revised.height = miner_block_flow.height
where miner_block_flow.revision = coalesce(revised.revision, 0);

create or replace view raw.latest_miner_block_flow as
from raw.newest_miner_block_flow
where not is_retracted;
