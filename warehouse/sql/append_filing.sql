-- Add the rows of `incoming` that are new, or that differ from the newest revision of their key.
insert into raw.filing by name
select
    $source as source,
    incoming.cik,
    incoming.accession,
    incoming.company,
    incoming.form,
    incoming.filed_on,
    incoming.items,
    incoming.document_url,
    incoming.keywords,
    incoming.excerpt,
    coalesce(latest.revision + 1, 0)::smallint as revision,
    $batch_id as batch_id
from incoming
left join raw.latest_filing as latest
    on latest.source = $source
    and latest.cik = incoming.cik
    and latest.accession = incoming.accession
where latest.revision is null
    or latest.company is distinct from incoming.company
    or latest.form is distinct from incoming.form
    or latest.filed_on is distinct from incoming.filed_on
    or latest.items is distinct from incoming.items
    or latest.document_url is distinct from incoming.document_url
    or latest.keywords is distinct from incoming.keywords
    or latest.excerpt is distinct from incoming.excerpt
order by incoming.cik, incoming.accession;
