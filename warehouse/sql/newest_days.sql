select source, series, max(day) as newest_day
from raw.daily_value
where day <= ?
group by source, series;
