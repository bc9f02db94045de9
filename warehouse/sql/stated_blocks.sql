select b.batch_id, b.run_id, b.origin, b.sha256, b.observed_at, count(*) as block_count,
    min(v.height) as first_height, max(v.height) as last_height
from raw.latest_block as v join raw.batch as b using (batch_id)
where v.source = ? and v.height between ? and ?
group by all
order by b.batch_id;
