select source, series, day, value
from raw.latest_daily_value;
