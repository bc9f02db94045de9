-- What companies have filed: amounts of periods, and which filings were looked at for words of a lease.
create table raw.filing_fact (
    source varchar not null,
    cik bigint not null,
    tag varchar not null,
    period_start date not null,
    period_end date not null,
    value_usd bigint not null,
    form varchar not null,
    filed_on date not null,
    accession varchar not null,
    revision smallint not null,
    batch_id bigint not null
);
comment on table raw.filing_fact is 'Amounts of periods as each filing states them; a later filing repeats them as comparatives.';

create table raw.filing (
    source varchar not null,
    cik bigint not null,
    accession varchar not null,
    company varchar not null,
    form varchar not null,
    filed_on date not null,
    items varchar,
    document_url varchar not null,
    keywords varchar not null,
    excerpt varchar,
    revision smallint not null,
    batch_id bigint not null
);
comment on table raw.filing is 'Filings that were looked at, with the keywords found in them. Candidates for a person, never deals.';

create view raw.latest_filing_fact as
with revised as (
    select source, cik, tag, period_start, period_end, accession, max(revision) as revision
    from raw.filing_fact
    where revision > 0
    group by source, cik, tag, period_start, period_end, accession
)
select filing_fact.*
from raw.filing_fact as filing_fact
left join revised
    on revised.source = filing_fact.source
    and revised.cik = filing_fact.cik
    and revised.tag = filing_fact.tag
    and revised.period_start = filing_fact.period_start
    and revised.period_end = filing_fact.period_end
    and revised.accession = filing_fact.accession
where filing_fact.revision = coalesce(revised.revision, 0);

create view raw.latest_filing as
with revised as (
    select source, cik, accession, max(revision) as revision
    from raw.filing
    where revision > 0
    group by source, cik, accession
)
select filing.*
from raw.filing as filing
left join revised
    on revised.source = filing.source
    and revised.cik = filing.cik
    and revised.accession = filing.accession
where filing.revision = coalesce(revised.revision, 0);
