-- How does today compare with earlier episodes?
select episode, started_on, day_count, capitulation_max_score as score, puell_issuance_min_ratio as puell,
    hash_ribbon_spread_min_pct as spread_pct
from answers.today_against_episodes
order by started_on;
