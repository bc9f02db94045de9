-- How many days of each year were days of capitulation?
-- year: Calendar year, UTC.
select
    year(month_start) as year,
    sum(capitulation_day_count)::bigint as capitulation_day_count,
    sum(squeeze_day_count)::bigint as squeeze_day_count,
    sum(state_day_count)::bigint as state_day_count
from main.capitulation_monthly
group by year(month_start)
having sum(state_day_count) > 0;
