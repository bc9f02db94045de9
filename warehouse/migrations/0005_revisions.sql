-- What each source changed its mind about: the value before and after, how far apart, since when the one before stood,
-- and when we heard the other. A block has no single value, so its detail says which cells changed, and how.
create or replace view raw.revision as
with changed as (
    select
        later.source,
        later.series as item,
        later.day,
        later.revision,
        earlier.value as value_before,
        later.value as value_after,
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
        concat_ws(
            '; ',
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
    from raw.block as later
    join raw.block as earlier
        on earlier.source = later.source
        and earlier.height = later.height
        and earlier.revision = later.revision - 1
    where later.revision > 0
    union all
    select
        later.source,
        'flow ' || later.pool || ' to ' || later.exchange,
        later.day,
        later.revision,
        earlier.transfer_sat,
        later.transfer_sat,
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
    changed.detail,
    before.observed_at as stated_at,
    after.observed_at
from changed
join raw.batch as before on before.batch_id = changed.batch_before
join raw.batch as after on after.batch_id = changed.batch_after;
