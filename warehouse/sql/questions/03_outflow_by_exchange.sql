-- Which share of the miners' outflow went to which exchange in January 2026?
select exchange, miner_to_exchange_btc, exchange_share_pct, outflow_share_pct, stated_day_count
from answers.outflow_by_exchange
where month_start = date '2026-01-01'
order by miner_to_exchange_btc desc;
