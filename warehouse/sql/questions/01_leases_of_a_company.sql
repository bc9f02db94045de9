-- What has one company leased, to whom, when?
select announced_on, tenant_name, site_name, critical_it_mw, term_years
from answers.leases
where miner_name = 'TeraWulf' and is_verified
order by announced_on, critical_it_mw;
