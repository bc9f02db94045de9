-- What figures depend on beside observations: the registry, exchange labels, the pool list, definitions, code, the order of
-- sources. Each set is dated by the run that first applied it. Of a later one only the rows that differ are stored.
create table ops.applied_set (
    set_id bigint primary key,
    name varchar not null,
    digest varchar not null,
    run_id varchar not null,
    applied_at timestamp not null,
    row_count bigint not null,
    added_count bigint not null,
    removed_count bigint not null
);
comment on table ops.applied_set is 'One row a change of a set that figures depend on, such as the registry or exchange labels: since when it applies. Times are UTC.';

create table ops.applied_row (
    set_id bigint not null,
    name varchar not null,
    content varchar not null,
    is_added boolean not null
);
comment on table ops.applied_row is 'Rows by which an applied set differs from the one of its name before: added, or removed.';

-- Whether readers found the publication of the run as the current one, or beside it. NULL: of a version that did not record it.
alter table ops.run add column is_current boolean;
