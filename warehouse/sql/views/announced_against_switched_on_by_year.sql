-- How much power was announced in each year, and how much was switched on? Verified contracts that stand, and deliveries.
-- year: Calendar year, UTC, of the announcement or of the day the power was on.
-- announced_critical_it_mw: Critical power of the contracts announced in the year, as they stand. [MW]
-- switched_on_critical_it_mw: Critical power known to be switched on in the year: a lower bound; NULL: no report. [MW]
with step as (
    select year(announced_on) as year, critical_it_mw as announced_mw, null::double as switched_on_mw
    from main.deal_current
    where is_binding and is_verified
    union all
    select year(deal_delivery.energised_on), null, deal_delivery.critical_it_mw
    from main.deal_delivery
    join main.deal_current using (deal_id)
    where deal_delivery.confidence <> 'unverified'
        and deal_delivery.known_at <= (select max(day) from main.conversion_daily)
)
select
    year,
    sum(announced_mw) as announced_critical_it_mw,
    sum(switched_on_mw) as switched_on_critical_it_mw
from step
group by year;
