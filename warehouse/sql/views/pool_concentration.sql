-- How concentrated are the pools? By day, as they are named and with those merged that hand out another's blocks.
select
    day, pool_hhi_index, pool_hhi_high_index, merged_pool_hhi_index, nakamoto_coefficient_count,
    merged_nakamoto_coefficient_count, top2_pool_share_pct, merged_top2_pool_share_pct, unknown_pool_share_pct, is_final
from main.security_daily;
