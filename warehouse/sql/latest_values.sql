select source, series, day, value
from raw.latest_daily_value
order by source, series, day;
