select cik, tag, period_start, period_end, value_usd, form, filed_on, accession
from raw.latest_filing_fact
where source = getvariable('source');
