-- In which times of distress that are fixed in `stress_episode` was there no day of capitulation? What the rule missed.
-- capitulation_max_score: Highest capitulation score of its core. [score]
-- squeeze_day_count: Days of its core in squeeze. [count]
-- state_day_count: Days of its core that have a state. [count]
select
    stress_episode.episode,
    stress_episode.core_start_on,
    stress_episode.core_end_on,
    max(capitulation_daily.capitulation_score) as capitulation_max_score,
    count(*) filter (capitulation_daily.capitulation_state = 'squeeze') as squeeze_day_count,
    count(capitulation_daily.capitulation_state) as state_day_count
from main.stress_episode
join main.capitulation_daily
    on capitulation_daily.day between stress_episode.core_start_on and stress_episode.core_end_on
where stress_episode.episode_class = 'P'
group by all
having state_day_count > 0
    and count(*) filter (capitulation_daily.capitulation_state in ('capitulation', 'deep_capitulation')) = 0;
