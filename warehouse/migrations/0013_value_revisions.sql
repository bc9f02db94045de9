-- Published values that are others than in the publication before: how many by table, column and reason, and the first of
-- them one by one. `column_name` is NULL where a whole row is one more or one less.
create table raw.value_revision (
    table_name varchar not null,
    column_name varchar,
    row_key varchar not null,
    day date,
    value_before double,
    value_after double,
    reason varchar not null,
    detail varchar,
    batch_id bigint not null
);
comment on table raw.value_revision is 'Published values that differ from those of the publication before, one by one where they are few.';

create table raw.value_revision_count (
    table_name varchar not null,
    column_name varchar,
    reason varchar not null,
    inputs varchar not null,
    value_count bigint not null,
    listed_count bigint not null,
    first_day date,
    last_day date,
    largest_difference_pct double,
    batch_id bigint not null
);
comment on table raw.value_revision_count is 'How many published values of a column differ from those of the publication before, by reason.';
