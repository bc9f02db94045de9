-- Add the rows of `incoming` that are new, or that differ from the newest revision of their key.
insert into raw.exchange_flow by name
select
    $source as source,
    incoming.day,
    incoming.exchange,
    incoming.pool,
    incoming.transfer_sat,
    incoming.transfer_count,
    incoming.top10_sat,
    coalesce(latest.revision + 1, 0)::smallint as revision,
    $batch_id as batch_id
from incoming
left join raw.latest_exchange_flow as latest
    on latest.source = $source
    and latest.day = incoming.day
    and latest.exchange = incoming.exchange
    and latest.pool = incoming.pool
where latest.revision is null
    or latest.transfer_sat is distinct from incoming.transfer_sat
    or latest.transfer_count is distinct from incoming.transfer_count
    or latest.top10_sat is distinct from incoming.top10_sat
order by incoming.day, incoming.exchange, incoming.pool;
