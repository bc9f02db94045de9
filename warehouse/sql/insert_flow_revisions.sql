-- Sums by day over the blocks of a span that were known before a run, as they were before it and after it, where these
-- differ. `states`: up to which batch. Rows that were revised are few, so that looking for the newest ones is cheap.
insert into raw.flow_revision by name
with states as (
    from (values ('before', $first_batch - 1), ('after', $last_batch)) as state (state, until_batch)
),
spanned_block as (
    select states.state, block.*
    from raw.block as block
    join states on block.batch_id <= states.until_batch
    where block.source = $source and block.height between $first_height and $last_height
),
newest_block as (
    select state, height, max(revision) as revision
    from spanned_block
    group by state, height
),
counted_block as (
    select
        block.*,
        (max(block.block_at) over (partition by block.state order by block.height))::date as day
    from spanned_block as block
    join newest_block using (state, height, revision)
    where not block.is_retracted
),
known_block as (
    select height
    from raw.block
    where source = $source and height between $first_height and $last_height and batch_id < $first_batch
    group by height
),
spanned_flow as (
    select states.state, flow.*
    from raw.miner_block_flow as flow
    join states on flow.batch_id <= states.until_batch
    where flow.source = $source and flow.height between $first_height and $last_height
),
newest_flow as (
    select state, height, max(revision) as revision
    from spanned_flow
    group by state, height
),
known_flow as (
    select height
    from raw.miner_block_flow
    where source = $source and height between $first_height and $last_height and batch_id < $first_batch
    group by height
),
counted_flow as (
    select flow.*, block.day
    from spanned_flow as flow
    join newest_flow using (state, height, revision)
    join counted_block as block using (state, height)
    semi join known_flow using (height)
    where not flow.is_retracted
),
revised_transfer as (
    select states.state, height, block_hash, txid, exchange, hop, label_set, max(revision) as revision
    from raw.miner_transfer as transfer
    join states on transfer.batch_id <= states.until_batch
    where source = $source and height between $first_height and $last_height and revision > 0
    group by all
),
counted_transfer as (
    select flow.state, flow.day, transfer.txid, transfer.hop, transfer.transfer_sat
    from counted_flow as flow
    join raw.miner_transfer as transfer
        on transfer.source = $source
        and transfer.height between $first_height and $last_height
        and transfer.height = flow.height
        and transfer.block_hash = flow.block_hash
        and transfer.label_set = flow.label_set
    left join revised_transfer as revised
        on revised.state = flow.state
        and revised.height = transfer.height
        and revised.block_hash = transfer.block_hash
        and revised.txid = transfer.txid
        and revised.exchange = transfer.exchange
        and revised.hop = transfer.hop
        and revised.label_set = transfer.label_set
    where transfer.revision = coalesce(revised.revision, 0)
),
transfer_day as (
    select
        state,
        day,
        coalesce(sum(transfer_sat) filter (where hop = 0), 0)::double as miner_to_exchange_sat,
        count(distinct hash(txid)) filter (where hop = 0)::double as miner_to_exchange_count,
        coalesce(sum(transfer_sat) filter (where hop = 1), 0)::double as one_hop_to_exchange_sat
    from counted_transfer
    group by state, day
),
flow_day as (
    select
        state,
        day,
        sum(outflow_sat)::double as miner_outflow_sat,
        sum(outflow_tx_count)::double as miner_outflow_count,
        sum(inflow_sat)::double as miner_inflow_sat,
        sum(one_hop_outflow_sat)::double as one_hop_outflow_sat,
        sum(coinbase_direct_to_exchange_sat)::double as coinbase_direct_to_exchange_sat,
        max(batch_id) as batch_id
    from counted_flow
    group by state, day
),
block_day as (
    select
        state,
        day,
        count(*)::double as block_count,
        sum(subsidy_claimed_sat)::double as issuance_sat,
        sum(fees_sat)::double as fees_sat,
        max(batch_id) as batch_id
    from counted_block
    semi join known_block using (height)
    group by state, day
),
figure as (
    unpivot (
        select
            flow_day.*,
            coalesce(miner_to_exchange_sat, 0) as miner_to_exchange_sat,
            coalesce(miner_to_exchange_count, 0) as miner_to_exchange_count,
            coalesce(one_hop_to_exchange_sat, 0) as one_hop_to_exchange_sat
        from flow_day
        left join transfer_day using (state, day)
    )
    on columns(* exclude (state, day, batch_id))
    into name item value value
    union all by name
    unpivot block_day
    on columns(* exclude (state, day, batch_id))
    into name item value value
),
revised_height as (
    select height, bool_or(is_retracted) as is_retracted
    from (
        select height, is_retracted
        from raw.block
        where source = $source
            and height between $first_height and $last_height
            and batch_id between $first_batch and $last_batch
            and revision > 0
        union all
        select height, is_retracted
        from raw.miner_block_flow
        where source = $source
            and height between $first_height and $last_height
            and batch_id between $first_batch and $last_batch
            and revision > 0
        union all
        select height, false
        from raw.miner_transfer
        where source = $source
            and height between $first_height and $last_height
            and batch_id between $first_batch and $last_batch
            and revision > 0
    )
    group by height
),
why as (
    select
        revised_height.height,
        before_block.day as day_before,
        after_block.day as day_after,
        before_flow.label_set as labels_before,
        after_flow.label_set as labels_after,
        case
            when revised_height.is_retracted
                or before_flow.block_hash is distinct from after_flow.block_hash
                or before_block.block_at is distinct from after_block.block_at
                then 're-organisation'
            when before_flow.label_set is distinct from after_flow.label_set then 'labels'
            else 'source'
        end as reason
    from revised_height
    left join counted_block as before_block
        on before_block.height = revised_height.height and before_block.state = 'before'
    left join counted_block as after_block
        on after_block.height = revised_height.height and after_block.state = 'after'
    left join counted_flow as before_flow
        on before_flow.height = revised_height.height and before_flow.state = 'before'
    left join counted_flow as after_flow
        on after_flow.height = revised_height.height and after_flow.state = 'after'
),
why_day as (
    select
        day,
        case
            when bool_or(reason = 're-organisation') then 're-organisation'
            when bool_or(reason = 'labels') then 'labels'
            else 'source'
        end as reason,
        min(height) as first_height,
        max(height) as last_height,
        max(labels_before) as labels_before,
        max(labels_after) as labels_after
    from (
        select day_before as day, * exclude (day_before, day_after)
        from why
        union
        select day_after, * exclude (day_before, day_after)
        from why
    )
    where day is not null
    group by day
),
compared as (
    select
        coalesce(earlier.day, later.day) as day,
        coalesce(earlier.item, later.item) as item,
        earlier.value as value_before,
        later.value as value_after,
        earlier.batch_id as batch_before
    from (from figure where state = 'before') as earlier
    full join (from figure where state = 'after') as later on later.day = earlier.day and later.item = earlier.item
    where earlier.value is distinct from later.value
),
counted_revision as (
    select item, day, max(revision) as revision
    from raw.flow_revision
    where source = $source
    group by item, day
)
select
    $source as source,
    compared.item,
    compared.day,
    compared.value_before,
    compared.value_after,
    coalesce(why_day.reason, 'source') as reason,
    case
        when why_day.reason = 'labels' then 'labels ' || why_day.labels_before || ' to ' || why_day.labels_after
        else 'blocks ' || why_day.first_height || ' to ' || why_day.last_height
    end as detail,
    (coalesce(counted_revision.revision, 0) + 1)::smallint as revision,
    compared.batch_before,
    $batch_id as batch_id
from compared
left join why_day on why_day.day = compared.day
left join counted_revision on counted_revision.item = compared.item and counted_revision.day = compared.day
order by compared.day, compared.item;
