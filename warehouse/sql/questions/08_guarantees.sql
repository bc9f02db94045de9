-- Guaranteed by whom?
select provider_name, count(*) as support_count, sum(amount_usd) as amount_usd
from answers.guarantees
where support in ('guarantee', 'letter_of_credit') and source_url is not null
group by provider_name order by provider_name;
