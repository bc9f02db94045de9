-- How many megawatts by company and tenant?
select miner_name, tenant_name, deal_count, critical_it_mw
from answers.megawatts_by_company_and_tenant
where critical_it_mw > 400
order by critical_it_mw desc, miner_name;
