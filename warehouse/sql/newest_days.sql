select source, series, max(day) as newest_day
from raw.daily_value
group by source, series;
