-- Add the rows of `incoming` that are new, or that differ from the newest revision of their key.
insert into raw.miner_block_flow by name
select
    $source as source,
    incoming.height,
    incoming.block_hash,
    incoming.pool,
    incoming.outflow_sat,
    incoming.outflow_tx_count,
    incoming.largest_outflows_sat,
    incoming.inflow_sat,
    incoming.fee_sat,
    incoming.one_hop_outflow_sat,
    incoming.coinbase_direct_to_exchange_sat,
    incoming.label_set,
    coalesce(latest.revision + 1, 0)::smallint as revision,
    $batch_id as batch_id
from incoming
left join raw.latest_miner_block_flow as latest
    on latest.source = $source
    and latest.height = incoming.height
where latest.revision is null
    or latest.block_hash is distinct from incoming.block_hash
    or latest.pool is distinct from incoming.pool
    or latest.outflow_sat is distinct from incoming.outflow_sat
    or latest.outflow_tx_count is distinct from incoming.outflow_tx_count
    or latest.largest_outflows_sat is distinct from incoming.largest_outflows_sat
    or latest.inflow_sat is distinct from incoming.inflow_sat
    or latest.fee_sat is distinct from incoming.fee_sat
    or latest.one_hop_outflow_sat is distinct from incoming.one_hop_outflow_sat
    or latest.coinbase_direct_to_exchange_sat is distinct from incoming.coinbase_direct_to_exchange_sat
    or latest.label_set is distinct from incoming.label_set
order by incoming.height;
