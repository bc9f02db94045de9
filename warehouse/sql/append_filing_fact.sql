-- Add the rows of `incoming` that are new, or that differ from the newest revision of their key.
insert into raw.filing_fact by name
select
    $source as source,
    incoming.cik,
    incoming.tag,
    incoming.period_start,
    incoming.period_end,
    incoming.value_usd,
    incoming.form,
    incoming.filed_on,
    incoming.accession,
    coalesce(latest.revision + 1, 0)::smallint as revision,
    $batch_id as batch_id
from incoming
left join raw.latest_filing_fact as latest
    on latest.source = $source
    and latest.cik = incoming.cik
    and latest.tag = incoming.tag
    and latest.period_start = incoming.period_start
    and latest.period_end = incoming.period_end
    and latest.accession = incoming.accession
where latest.revision is null
    or latest.value_usd is distinct from incoming.value_usd
    or latest.form is distinct from incoming.form
    or latest.filed_on is distinct from incoming.filed_on
order by incoming.cik, incoming.tag, incoming.period_start, incoming.period_end, incoming.accession;
