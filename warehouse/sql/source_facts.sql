with stated as (
    select source, count(*) as row_count, min(block_at)::date as first_day, max(block_at)::date as last_day
    from raw.latest_block
    where block_at <= $now
    group by source
    union all
    select source, count(*), min(day), max(day)
    from raw.latest_daily_value
    where day <= $now
    group by source
    union all
    select source, count(*), min(day), max(day)
    from raw.latest_exchange_flow
    where day <= $now
    group by source
    union all
    select source, count(*), min(period_end), max(period_end)
    from raw.latest_filing_fact
    where period_end <= $now
    group by source
    union all
    select source, count(*), min(filed_on), max(filed_on)
    from raw.latest_filing
    where filed_on <= $now
    group by source
),
received as (
    select source, max(observed_at) as last_observed_at
    from raw.batch
    where observed_at <= $now
    group by source
)
select
    stated.source,
    sum(stated.row_count)::bigint as row_count,
    min(stated.first_day) as first_day,
    max(stated.last_day) as last_day,
    any_value(received.last_observed_at) as last_observed_at
from stated
left join received on received.source = stated.source
group by stated.source
order by stated.source;
