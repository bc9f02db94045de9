-- Where did the miners' outflow go, by month and exchange? `not_named` is what the source states of no exchange.
select month_start, exchange, miner_to_exchange_btc, exchange_share_pct, outflow_share_pct, stated_day_count, is_final
from main.flow_by_exchange;
