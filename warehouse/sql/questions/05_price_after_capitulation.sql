-- What did the price do after each capitulation?
select started_on, ended_on, price_at_end_usd as price_usd, price_change_30d_after_pct as after_30d_pct,
    price_change_90d_after_pct as after_90d_pct, price_change_180d_after_pct as after_180d_pct
from answers.price_after_capitulation
order by started_on;
