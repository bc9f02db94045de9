-- Does a lease pay more than mining on the same power? By day, in USD per megawatt and year.
select
    day, lease_usd_per_mw_year, lease_gross_usd_per_mw_year, mining_usd_per_mw_year, lease_to_mining_ratio,
    new_fleet_lease_to_mining_ratio, parity_hashprice_usd_per_phs_day, is_final
from main.conversion_daily;
