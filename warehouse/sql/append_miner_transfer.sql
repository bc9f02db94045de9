-- Add the rows of `incoming` that are new, or that differ from the newest revision of their key.
insert into raw.miner_transfer by name
select
    $source as source,
    incoming.height,
    incoming.block_hash,
    incoming.txid,
    incoming.exchange,
    incoming.pool,
    incoming.hop,
    incoming.transfer_sat,
    incoming.fresh_sat,
    incoming.miner_input_sat,
    incoming.total_input_sat,
    incoming.quality,
    incoming.label_set,
    coalesce(latest.revision + 1, 0)::smallint as revision,
    $batch_id as batch_id
from incoming
left join raw.latest_miner_transfer as latest
    on latest.source = $source
    and latest.height = incoming.height
    and latest.block_hash = incoming.block_hash
    and latest.txid = incoming.txid
    and latest.exchange = incoming.exchange
    and latest.hop = incoming.hop
    and latest.label_set = incoming.label_set
where latest.revision is null
    or latest.pool is distinct from incoming.pool
    or latest.transfer_sat is distinct from incoming.transfer_sat
    or latest.fresh_sat is distinct from incoming.fresh_sat
    or latest.miner_input_sat is distinct from incoming.miner_input_sat
    or latest.total_input_sat is distinct from incoming.total_input_sat
    or latest.quality is distinct from incoming.quality
order by incoming.height, incoming.block_hash, incoming.txid, incoming.exchange, incoming.hop, incoming.label_set;
