-- One row a run, one row a remark that a run made about its sources.
create schema ops;

create table ops.run (
    run_id varchar primary key,
    profile varchar not null,
    day date not null,
    version varchar not null,
    started_at timestamp not null,
    ended_at timestamp,
    status varchar not null,
    error varchar,
    observed_count bigint,
    new_count bigint,
    revised_count bigint,
    publication varchar
);
comment on table ops.run is 'One row a run: running, published, failed, or abandoned when its process died. Times are UTC.';

create table ops.notice (
    run_id varchar not null,
    source varchar not null,
    origin varchar not null,
    message varchar not null
);
comment on table ops.notice is 'What a source left alone or dropped, by run.';
