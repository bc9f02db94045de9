"""SEC EDGAR: amounts that companies file, and the words of a lease in their filings. No key, but a contact."""
