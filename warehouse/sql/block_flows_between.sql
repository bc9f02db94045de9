select
    height,
    block_hash,
    pool,
    outflow_sat,
    outflow_tx_count,
    largest_outflows_sat,
    inflow_sat,
    fee_sat,
    one_hop_outflow_sat,
    coinbase_direct_to_exchange_sat,
    label_set
from raw.latest_miner_block_flow
where source = getvariable('source')
    and height between getvariable('first_height') and getvariable('last_height')
order by height;
