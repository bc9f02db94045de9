-- Of the newest snapshot: files that it added, their bytes, and files that it has from before.
with files as (
    select begin_snapshot, end_snapshot, file_size_bytes from __ducklake_metadata_lake.ducklake_data_file
    union all
    select begin_snapshot, end_snapshot, file_size_bytes from __ducklake_metadata_lake.ducklake_delete_file
),
newest as (select max(snapshot_id) as number from __ducklake_metadata_lake.ducklake_snapshot)
select
    count(*) filter (begin_snapshot = number),
    coalesce(sum(file_size_bytes) filter (begin_snapshot = number), 0)::bigint,
    count(*) filter (begin_snapshot < number)
from files, newest
where end_snapshot is null
