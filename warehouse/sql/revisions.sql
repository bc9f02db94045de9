-- What sources changed of their observations, and what is published differently than in the publication before.
select
    source,
    item,
    day,
    revision,
    value_before,
    value_after,
    difference,
    difference_pct,
    reason,
    detail,
    stated_at,
    observed_at,
    null::varchar as table_name,
    null::varchar as column_name,
    null::varchar as row_key
from raw.revision
union all
select
    batch.source,
    concat_ws('.', changed.table_name, changed.column_name),
    changed.day,
    row_number() over same_value::smallint,
    changed.value_before,
    changed.value_after,
    changed.value_after - changed.value_before,
    case when changed.value_before <> 0
        then (changed.value_after - changed.value_before) / abs(changed.value_before) * 100 end,
    changed.reason,
    changed.detail,
    lag(batch.observed_at) over same_value,
    batch.observed_at,
    changed.table_name,
    changed.column_name,
    changed.row_key
from raw.value_revision as changed
join raw.batch as batch using (batch_id)
window same_value as (
    partition by changed.table_name, changed.column_name, changed.row_key, changed.day
    order by changed.batch_id
)
order by observed_at, source, item, day, row_key, revision;
