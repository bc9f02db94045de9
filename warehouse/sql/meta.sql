-- What the publication says about itself. Times are UTC.
create schema meta;

create table meta.tables (
    table_name varchar, description varchar, key_columns varchar, row_count bigint,
    first_day date, last_day date, described_until date, sources varchar, licence varchar, strictest_licence varchar
);
comment on table meta.tables is 'One row a published table: what a row is, its key, how much there is, from whom, under which terms; strictest_licence is the one that holds for the table as a whole. Rows after described_until lack a main column, so that they are not final.';

create table meta.columns (
    table_name varchar, column_name varchar, position integer, data_type varchar, unit varchar, aggregation varchar,
    description varchar, error varchar, null_rule varchar, inputs varchar, sources varchar, licence varchar,
    column_group varchar, starter_rank integer, verbose_name varchar,
    definition_version integer, definition_changed_on date, definition_change varchar
);
comment on table meta.columns is 'One row a published column: unit, over which parts of the key its values may be added up (sum: any; sum of a day: all but the day; none), meaning, how wrong it can be, when it is NULL, what it is made from, and the strictest licence of those it comes from. Of a wide table starter_rank numbers the columns to begin with, which are its first; column_group is the topic, verbose_name the name in words with the unit. definition_version counts the formulas that the column has had, definition_changed_on and definition_change state the last change; NULL where there was none.';

create table meta.sources (
    source varchar, title varchar, licence varchar, terms varchar, delay varchar, trust varchar, address varchar,
    used_for varchar, row_count bigint, first_day date, last_day date, last_observed_at timestamp,
    request_count bigint, received_bytes bigint, waited_seconds double
);
comment on table meta.sources is 'One row a supplier of data: terms, delay, trust, what this publication took from it, and, where it is hosted, what requesting it cost in this run.';

create table meta.freshness (
    subject varchar, source varchar, series varchar, table_name varchar, column_name varchar,
    last_day date, days_behind bigint, allowed_lag_days bigint, is_late boolean
);
comment on table meta.freshness is 'One row a supplier (subject source), its series, a published column and a table: the last day it has, how far that is behind the day of the run, and whether that is more than the supplier is allowed. A column or table names the supplier and series that it waits for.';

create table meta.runs (
    run_id varchar, profile varchar, day date, fetched_until date, version varchar, started_at timestamp,
    ended_at timestamp, status varchar, error varchar, observed_count bigint, new_count bigint, revised_count bigint, publication varchar
);
comment on table meta.runs is 'One row a run that led up to this publication, the newest last: day is the last one of its publication, fetched_until the last one requested of the sources.';

create table meta.quality (
    check_name varchar, table_name varchar, severity varchar, passed boolean,
    value double, expected varchar, detail varchar
);
comment on table meta.quality is 'One row a check of this publication. A failed error stops a publication, a failed warning does not; a notice says what a source left out.';

create table meta.nulls (
    table_name varchar, column_name varchar, reason varchar, first_day date, last_day date, row_count bigint
);
comment on table meta.nulls is 'Why values are NULL, every one of every table: one row a column, reason and unbroken range of days; row_count counts the rows. Without days where the rows have none.';

create table meta.revisions (
    source varchar, item varchar, day date, revision smallint, value_before double, value_after double,
    difference double, difference_pct double, reason varchar, detail varchar, stated_at timestamp, observed_at timestamp,
    table_name varchar, column_name varchar, row_key varchar
);
comment on table meta.revisions is 'What changed later. Observations that a source changed, and sums by day over blocks that changed: by how much, why, since when the value before had stood (stated_at), when the other was received (observed_at). With the source published: published values that are others than in the publication before, up to 50 a column, run and reason, the largest change first; table_name, column_name, row_key and day say which, without a column a whole row was added or removed. The reason is source, re-organisation, labels, registry, definition or code: the first of these of which an input of the column changed. Nothing is overwritten: earlier values are kept.';

create table meta.revision_counts (
    run_id varchar, observed_at timestamp, table_name varchar, column_name varchar, reason varchar, inputs varchar,
    value_count bigint, listed_count bigint, first_day date, last_day date, largest_difference_pct double
);
comment on table meta.revision_counts is 'One row a run, column and reason: how many published values are others than in the publication before, how many of these are in meta.revisions one by one, of which days, the largest relative change, and all inputs of the column that changed. Without a column whole rows were added or removed. The reason new days is of values that no changed input explains: they moved because days were added, as an age does. Days that are new are not counted, nor is is_final.';
