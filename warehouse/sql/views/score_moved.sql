-- Which part of the score moved? One row a part: its points on the day of `latest`, and seven and thirty days before.
-- part: Column of `capitulation_daily`; the three add up to capitulation_score.
-- points: Points of the part on the day. [points of 100]
-- points_7d_before: Points of the part seven days before. [points of 100]
-- points_30d_before: Points of the part thirty days before. [points of 100]
with scored as (
    select day, 'score_income_level' as part, score_income_level as points from main.capitulation_daily
    union all
    select day, 'score_income_per_hash', score_income_per_hash from main.capitulation_daily
    union all
    select day, 'score_hashrate', score_hashrate from main.capitulation_daily
)
select
    scored.day,
    scored.part,
    scored.points,
    week.points as points_7d_before,
    month.points as points_30d_before
from main.latest
join scored using (day)
left join scored as week on week.part = scored.part and week.day = scored.day - 7
left join scored as month on month.part = scored.part and month.day = scored.day - 30;
