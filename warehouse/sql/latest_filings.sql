select cik, accession, company, form, filed_on, items, document_url, keywords, excerpt
from raw.latest_filing
where source = getvariable('source');
