-- What miners moved, transaction by transaction and block by block, as attributed from the blocks of an own node.
create table raw.miner_transfer (
    source varchar not null,
    height bigint not null,
    block_hash varchar not null,
    txid varchar not null,
    exchange varchar not null,
    pool varchar not null,
    hop bigint not null,
    transfer_sat bigint not null,
    fresh_sat bigint,
    miner_input_sat bigint not null,
    total_input_sat bigint not null,
    quality varchar not null,
    label_set varchar not null,
    revision smallint not null,
    batch_id bigint not null
);
comment on table raw.miner_transfer is 'Coins from miners to exchanges, one row a transaction, exchange and layer. Rows of replaced blocks stay.';

create table raw.miner_block_flow (
    source varchar not null,
    height bigint not null,
    block_hash varchar not null,
    pool varchar not null,
    outflow_sat bigint not null,
    outflow_tx_count bigint not null,
    largest_outflows_sat bigint[] not null,
    inflow_sat bigint not null,
    fee_sat bigint not null,
    one_hop_outflow_sat bigint not null,
    coinbase_direct_to_exchange_sat bigint not null,
    label_set varchar not null,
    revision smallint not null,
    batch_id bigint not null
);
comment on table raw.miner_block_flow is 'What each block moved into and out of miners'' hands. A re-organisation or other labels are a new revision.';

create view raw.latest_miner_transfer as
with revised as (
    select source, height, block_hash, txid, exchange, hop, label_set, max(revision) as revision
    from raw.miner_transfer
    where revision > 0
    group by source, height, block_hash, txid, exchange, hop, label_set
)
select miner_transfer.*
from raw.miner_transfer as miner_transfer
left join revised
    on revised.source = miner_transfer.source
    and revised.height = miner_transfer.height
    and revised.block_hash = miner_transfer.block_hash
    and revised.txid = miner_transfer.txid
    and revised.exchange = miner_transfer.exchange
    and revised.hop = miner_transfer.hop
    and revised.label_set = miner_transfer.label_set
where miner_transfer.revision = coalesce(revised.revision, 0);

create view raw.latest_miner_block_flow as
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

-- The transfers that count: those of the block that each height has now, by the labels that it was last read with.
create view raw.current_miner_transfer as
select transfer.*
from raw.latest_miner_transfer as transfer
semi join raw.latest_miner_block_flow as flow
    on flow.source = transfer.source
    and flow.height = transfer.height
    and flow.block_hash = transfer.block_hash
    and flow.label_set = transfer.label_set;
