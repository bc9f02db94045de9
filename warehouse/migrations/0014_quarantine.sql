-- Rows that a source stated and that failed their contract, each once however often it is sent. What is let in becomes a
-- row of its raw table in a batch of its own, whose run is called 'quarantine'; taken out again it is retracted there.
create table raw.quarantine (
    entry_id bigint not null,
    source varchar not null,
    observed_table varchar not null,
    row_key varchar not null,
    day date,
    received varchar not null,
    stored_row varchar,
    rule varchar not null,
    reason varchar not null,
    origin varchar not null,
    place varchar not null,
    status varchar not null,
    first_seen_at timestamp not null,
    last_seen_at timestamp not null,
    first_run_id varchar not null,
    last_run_id varchar not null,
    decided_at timestamp,
    decided_by varchar,
    note varchar,
    released_at timestamp,
    released_because varchar,
    entered_batch_id bigint
);
comment on table raw.quarantine is 'One row a row that failed its contract: what was received, why it failed, what became of it. Times are UTC.';
comment on column raw.quarantine.row_key is 'Key of the row in its table, as JSON.';
comment on column raw.quarantine.received is 'Cells as the source sent them, as JSON.';
comment on column raw.quarantine.stored_row is 'The row as its table would hold it, as JSON; NULL where the types do not permit it.';
comment on column raw.quarantine.place is 'Where in what was read from the origin, such as a row and a column.';
comment on column raw.quarantine.status is 'held, accepted, rejected or released.';
comment on column raw.quarantine.entered_batch_id is 'Batch in which the row entered its table, where it did.';

-- A value that was let in and is taken out again counts no longer; nothing is removed.
alter table raw.daily_value add column is_retracted boolean default false;

create view raw.newest_daily_value as
with revised as (
    select source, series, day, max(revision) as revision
    from raw.daily_value
    where revision > 0
    group by source, series, day
)
select daily_value.*
from raw.daily_value as daily_value
left join revised
    on revised.source = daily_value.source
    and revised.series = daily_value.series
    and revised.day = daily_value.day
where daily_value.revision = coalesce(revised.revision, 0);

create or replace view raw.latest_daily_value as
from raw.newest_daily_value
where not is_retracted;

-- As before; a value that was taken out has none after it, and what entered through the quarantine says so.
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
        case when not earlier.is_retracted then earlier.value end as value_before,
        case when not later.is_retracted then later.value end as value_after,
        'source' as reason,
        case when batch.run_id = 'quarantine' then batch.origin end as detail,
        earlier.batch_id as batch_before,
        later.batch_id as batch_after
    from raw.daily_value as later
    join raw.daily_value as earlier
        on earlier.source = later.source
        and earlier.series = later.series
        and earlier.day = later.day
        and earlier.revision = later.revision - 1
    join raw.batch as batch on batch.batch_id = later.batch_id
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
