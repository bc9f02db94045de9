select
    height, block_hash, txid, exchange, pool, hop,
    transfer_sat, fresh_sat, miner_input_sat, total_input_sat, quality, label_set
from raw.current_miner_transfer
where source = getvariable('source');
