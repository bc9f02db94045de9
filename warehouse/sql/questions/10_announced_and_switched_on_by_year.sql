-- How much was announced, and how much switched on, by year?
select year, announced_critical_it_mw, switched_on_critical_it_mw
from answers.announced_against_switched_on_by_year
order by year;
