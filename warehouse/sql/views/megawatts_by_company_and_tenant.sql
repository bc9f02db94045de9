-- How many megawatts has each company leased to each tenant? Verified contracts that stand, by both.
-- tenant_name: Name of the company that signs the contracts; not_named where no source names it.
-- deal_count: Contracts, unverified ones left out; a tranche is one. [count]
-- critical_it_mw: Critical power of the contracts; NULL where none of them states it. [MW]
-- contract_value_usd: Revenue of their base terms; NULL where none of them states it. [USD]
select
    miner_name,
    coalesce(tenant_name, 'not_named') as tenant_name,
    count(*) as deal_count,
    sum(critical_it_mw) as critical_it_mw,
    sum(contract_value_usd) as contract_value_usd
from main.deal_current
where is_binding and is_verified
group by miner_name, coalesce(tenant_name, 'not_named');
