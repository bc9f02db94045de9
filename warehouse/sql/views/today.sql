-- Are miners capitulating today? The newest final day that has a score, in one row.
select
    day, capitulation_state, capitulation_state_reason, capitulation_score,
    score_income_level, score_income_per_hash, score_hashrate,
    price_usd, puell_issuance_ratio, revenue_change_30d_exhalving_pct, hash_ribbon_state,
    hashprice_usd_per_phs_day, cost_coverage_ratio, miner_to_exchange_30d_btc, sources
from main.latest;
