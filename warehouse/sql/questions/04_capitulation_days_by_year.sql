-- How many days of each year were days of capitulation?
select year, capitulation_day_count, state_day_count
from answers.capitulation_days_by_year
where capitulation_day_count > 0
order by year;
