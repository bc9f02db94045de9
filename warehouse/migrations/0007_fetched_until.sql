-- A run may fetch a range of days and publish all that is known: the last of either need not be the same.
alter table ops.run add column fetched_until date;
update ops.run set fetched_until = day;
comment on column ops.run.day is 'Last day of the publication.';
comment on column ops.run.fetched_until is 'Last day that was requested of the sources.';
