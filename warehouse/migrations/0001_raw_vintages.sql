-- What was said, by whom, when we heard it. Rows are only ever added: a changed value is a new revision of its key.
create schema raw;

create table raw.batch (
    batch_id bigint primary key,
    run_id varchar not null,
    source varchar not null,
    observed_table varchar not null,
    origin varchar not null,
    sha256 varchar not null,
    observed_at timestamp not null,
    row_count bigint not null,
    new_count bigint not null,
    revised_count bigint not null
);
comment on table raw.batch is 'One row a batch of observations: where it came from and how much of it was new. Times are UTC.';

create table raw.block (
    source varchar not null,
    height bigint not null,
    block_at timestamp not null,
    difficulty double,
    subsidy_claimed_sat bigint,
    fees_sat bigint,
    pool varchar,
    revision smallint not null,
    batch_id bigint not null
);
comment on table raw.block is 'Blocks as each source stated them. A re-organisation or a relabelled pool is a new revision.';

create table raw.daily_value (
    source varchar not null,
    series varchar not null,
    day date not null,
    value double not null,
    revision smallint not null,
    batch_id bigint not null
);
comment on table raw.daily_value is 'Daily values as each source stated them, in the unit of the series.';

create table raw.exchange_flow (
    source varchar not null,
    day date not null,
    exchange varchar not null,
    pool varchar not null,
    transfer_sat bigint not null,
    transfer_count bigint not null,
    top10_sat bigint not null,
    revision smallint not null,
    batch_id bigint not null
);
comment on table raw.exchange_flow is 'Miner transfers by day, exchange and pool as each source stated them.';

-- The newest revision of each key. Revised keys are few, so the join has a tiny side and no window over all rows.
create view raw.latest_block as
with revised as (
    select source, height, max(revision) as revision
    from raw.block
    where revision > 0
    group by source, height
)
select block.*
from raw.block as block
left join revised on revised.source = block.source and revised.height = block.height
where block.revision = coalesce(revised.revision, 0);

create view raw.latest_daily_value as
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

create view raw.latest_exchange_flow as
with revised as (
    select source, day, exchange, pool, max(revision) as revision
    from raw.exchange_flow
    where revision > 0
    group by source, day, exchange, pool
)
select exchange_flow.*
from raw.exchange_flow as exchange_flow
left join revised
    on revised.source = exchange_flow.source
    and revised.day = exchange_flow.day
    and revised.exchange = exchange_flow.exchange
    and revised.pool = exchange_flow.pool
where exchange_flow.revision = coalesce(revised.revision, 0);

-- What each source changed its mind about: the value before and after, and when we heard.
create view raw.revision as
select
    later.source,
    later.series as item,
    later.day,
    later.revision,
    earlier.value as value_before,
    later.value as value_after,
    batch.observed_at
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
    block.source,
    'block ' || block.height as item,
    block.block_at::date as day,
    block.revision,
    null as value_before,
    null as value_after,
    batch.observed_at
from raw.block as block
join raw.batch as batch on batch.batch_id = block.batch_id
where block.revision > 0
union all
select
    flow.source,
    'flow ' || flow.pool || ' to ' || flow.exchange as item,
    flow.day,
    flow.revision,
    null as value_before,
    flow.transfer_sat as value_after,
    batch.observed_at
from raw.exchange_flow as flow
join raw.batch as batch on batch.batch_id = flow.batch_id
where flow.revision > 0;
