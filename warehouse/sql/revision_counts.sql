select
    batch.run_id,
    batch.observed_at,
    counted.table_name,
    counted.column_name,
    counted.reason,
    counted.inputs,
    counted.value_count,
    counted.listed_count,
    counted.first_day,
    counted.last_day,
    counted.largest_difference_pct
from raw.value_revision_count as counted
join raw.batch as batch using (batch_id)
order by batch.batch_id, counted.table_name, counted.column_name nulls first, counted.reason;
