-- Add the rows of `incoming` that are new, or that differ from the newest revision of their key.
insert into raw.block by name
select
    $source as source,
    incoming.height,
    incoming.block_at,
    incoming.difficulty,
    incoming.subsidy_claimed_sat,
    incoming.fees_sat,
    incoming.pool,
    coalesce(latest.revision + 1, 0)::smallint as revision,
    $batch_id as batch_id
from incoming
left join raw.latest_block as latest
    on latest.source = $source
    and latest.height = incoming.height
where latest.revision is null
    or latest.block_at is distinct from incoming.block_at
    or latest.difficulty is distinct from incoming.difficulty
    or latest.subsidy_claimed_sat is distinct from incoming.subsidy_claimed_sat
    or latest.fees_sat is distinct from incoming.fees_sat
    or latest.pool is distinct from incoming.pool
order by incoming.height;
