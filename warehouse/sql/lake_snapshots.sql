-- Snapshots of the lake, the newest first: number, author, facts of the publication as JSON.
select snapshot_id, author, commit_extra_info
from lake.snapshots()
order by snapshot_id desc
