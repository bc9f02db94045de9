-- Compared with which earlier episodes? The row `today` beside each capitulation so far, at its worst.
-- episode: The word today, or the episodes of `stress_episode` that the capitulation touches, none where it touches none.
-- started_on: The day of today, or the first day of the capitulation. [UTC day]
select
    'today' as episode,
    latest.day as started_on,
    null::date as ended_on,
    1 as day_count,
    latest.capitulation_score as capitulation_max_score,
    latest.puell_issuance_ratio as puell_issuance_min_ratio,
    capitulation_daily.hash_ribbon_spread_pct as hash_ribbon_spread_min_pct
from main.latest
join main.capitulation_daily using (day)
union all
select
    coalesce(stress_episode, 'none'), started_on, ended_on, day_count,
    capitulation_max_score, puell_issuance_min_ratio, hash_ribbon_spread_min_pct
from main.capitulation_episode;
