-- What has a company leased, to whom, when? One row a contract that stands; unverified ones are marked.
select
    miner_name, tenant_name, announced_on, site_name, lease_type, kind, is_verified,
    critical_it_mw, term_years, contract_value_usd, deal_id, source_url
from main.deal_current
where is_binding;
