-- Transfers that count, from a height to another: those of the block that each height has now, by the labels that it was
-- last read with. The heights bound both sides here: from outside of a view they bound the transfers alone, and the
-- flows of all history are read for each part of it.
select height, block_hash, txid, exchange, pool, hop, transfer_sat, fresh_sat, miner_input_sat, total_input_sat, quality,
    label_set
from raw.latest_miner_transfer as transfer
semi join (
    select height, block_hash, label_set
    from raw.latest_miner_block_flow
    where source = getvariable('source')
        and height between getvariable('first_height') and getvariable('last_height')
) as flow
    on flow.height = transfer.height
    and flow.block_hash = transfer.block_hash
    and flow.label_set = transfer.label_set
where source = getvariable('source')
    and height between getvariable('first_height') and getvariable('last_height');
