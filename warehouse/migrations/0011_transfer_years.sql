-- What was found in the transfers of a year, as JSON: why values are NULL, and the last day of each column. The digest is
-- of all that the rows are made from.
create table fold.transfer_year (
    source varchar not null,
    year integer not null,
    digest varchar not null,
    found varchar not null
);
comment on table fold.transfer_year is 'What was found in the transfers of a year, so that they are not read again.';
