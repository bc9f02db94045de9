-- Does a lease pay more than mining on the same power?
select day, lease_usd_per_mw_year, lease_gross_usd_per_mw_year, mining_usd_per_mw_year, lease_to_mining_ratio
from answers.lease_against_mining
where day in (date '2025-03-22', date '2026-03-22')
order by day;
