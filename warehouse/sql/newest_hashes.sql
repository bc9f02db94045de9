select height, arg_max(block_hash, revision) as block_hash
from raw.miner_block_flow
where source = ? and height between ? and ?
group by height
having not arg_max(is_retracted, revision);
