-- Guaranteed by whom? One row a support of a contract that stands: who stands behind whose rent, with how much.
-- provider_name: Name of who gives the support, or what the sources call it.
-- support: Kind of support: guarantee and letter_of_credit stand behind what the tenant owes, others do not.
select
    coalesce(company.name, credit_support.provider_as_stated) as provider_name,
    credit_support.kind as support,
    credit_support.amount_usd,
    deal_current.miner_name,
    deal_current.tenant_name,
    deal_current.contract_value_usd,
    credit_support.announced_on,
    deal_id,
    credit_support.source_url
from main.credit_support
join main.deal_current using (deal_id)
left join main.company on company.company = credit_support.provider
where credit_support.known_at <= (select max(day) from main.conversion_daily);
