-- What did the price do 30, 90 and 180 days after each capitulation ended? A handful of cases, no statistics.
select
    started_on, ended_on, day_count, deep_day_count, stress_episode, price_at_end_usd,
    price_change_30d_after_pct, price_change_90d_after_pct, price_change_180d_after_pct
from main.capitulation_episode;
