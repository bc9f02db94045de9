-- What changed of days that were attributed or counted before: one row a day and figure of one run, and why.
create table raw.flow_revision (
    source varchar not null,
    item varchar not null,
    day date not null,
    value_before double,
    value_after double,
    reason varchar not null,
    detail varchar,
    revision smallint not null,
    batch_before bigint,
    batch_id bigint not null
);
comment on table raw.flow_revision is 'Sums by day over blocks that were read before, before and after a run that changed any of them.';

-- What each source changed its mind about, as before, and why: source, re-organisation or labels. A block that was
-- retracted and has come back in the same run is one revision, compared with the block before the retraction.
create or replace view raw.revision as
with revised_block as (
    select block.*, batch.run_id
    from raw.block as block
    join raw.batch as batch on batch.batch_id = block.batch_id
    where block.revision > 0
),
compared_block as (
    select
        later.*,
        coalesce(gone.is_retracted, false) as is_back,
        (later.revision - case when gone.is_retracted then 2 else 1 end)::smallint as revision_before
    from revised_block as later
    left join revised_block as gone
        on gone.source = later.source
        and gone.height = later.height
        and gone.revision = later.revision - 1
        and gone.run_id = later.run_id
        and gone.is_retracted
    left join revised_block as back
        on later.is_retracted
        and back.source = later.source
        and back.height = later.height
        and back.revision = later.revision + 1
        and back.run_id = later.run_id
    where back.height is null
),
changed as (
    select
        later.source,
        later.series as item,
        later.day,
        later.revision,
        earlier.value as value_before,
        later.value as value_after,
        'source' as reason,
        null::varchar as detail,
        earlier.batch_id as batch_before,
        later.batch_id as batch_after
    from raw.daily_value as later
    join raw.daily_value as earlier
        on earlier.source = later.source
        and earlier.series = later.series
        and earlier.day = later.day
        and earlier.revision = later.revision - 1
    where later.revision > 0
    union all
    select
        later.source,
        'block ' || later.height,
        later.block_at::date,
        later.revision,
        null,
        null,
        case
            when later.is_retracted
                or later.is_back
                or earlier.is_retracted
                or later.block_at is distinct from earlier.block_at
                or later.difficulty is distinct from earlier.difficulty
                then 're-organisation'
            else 'source'
        end,
        concat_ws(
            '; ',
            case
                when later.is_retracted then 'no longer on the chain'
                when earlier.is_retracted then 'a block at this height again'
                when later.is_back then 'another block'
            end,
            case
                when later.block_at is distinct from earlier.block_at
                    then 'block_at: ' || coalesce(earlier.block_at::varchar, 'unknown')
                        || ' to ' || coalesce(later.block_at::varchar, 'unknown')
            end,
            case
                when later.difficulty is distinct from earlier.difficulty
                    then 'difficulty: ' || coalesce(earlier.difficulty::varchar, 'unknown')
                        || ' to ' || coalesce(later.difficulty::varchar, 'unknown')
            end,
            case
                when later.subsidy_claimed_sat is distinct from earlier.subsidy_claimed_sat
                    then 'subsidy_claimed_sat: ' || coalesce(earlier.subsidy_claimed_sat::varchar, 'unknown')
                        || ' to ' || coalesce(later.subsidy_claimed_sat::varchar, 'unknown')
            end,
            case
                when later.fees_sat is distinct from earlier.fees_sat
                    then 'fees_sat: ' || coalesce(earlier.fees_sat::varchar, 'unknown')
                        || ' to ' || coalesce(later.fees_sat::varchar, 'unknown')
            end,
            case
                when later.pool is distinct from earlier.pool
                    then 'pool: ' || coalesce(earlier.pool, 'unknown') || ' to ' || coalesce(later.pool, 'unknown')
            end
        ),
        earlier.batch_id,
        later.batch_id
    from compared_block as later
    join raw.block as earlier
        on earlier.source = later.source
        and earlier.height = later.height
        and earlier.revision = later.revision_before
    union all
    select
        later.source,
        'flow ' || later.pool || ' to ' || later.exchange,
        later.day,
        later.revision,
        earlier.transfer_sat,
        later.transfer_sat,
        'source',
        case
            when later.transfer_count <> earlier.transfer_count
                then 'transfer_count: ' || earlier.transfer_count || ' to ' || later.transfer_count
        end,
        earlier.batch_id,
        later.batch_id
    from raw.exchange_flow as later
    join raw.exchange_flow as earlier
        on earlier.source = later.source
        and earlier.day = later.day
        and earlier.exchange = later.exchange
        and earlier.pool = later.pool
        and earlier.revision = later.revision - 1
    where later.revision > 0
    union all
    select source, item, day, revision, value_before, value_after, reason, detail, batch_before, batch_id
    from raw.flow_revision
)
select
    changed.source,
    changed.item,
    changed.day,
    changed.revision,
    changed.value_before,
    changed.value_after,
    changed.value_after - changed.value_before as difference,
    case when changed.value_before <> 0 then (changed.value_after / changed.value_before - 1) * 100 end
        as difference_pct,
    changed.reason,
    changed.detail,
    before.observed_at as stated_at,
    after.observed_at
from changed
left join raw.batch as before on before.batch_id = changed.batch_before
join raw.batch as after on after.batch_id = changed.batch_after;
