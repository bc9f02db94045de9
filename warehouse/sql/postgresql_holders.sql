-- Who keeps the tables in the given schemas from being replaced.
select distinct
    locks.pid,
    coalesce(usename::text, '?') as user_name,
    coalesce(nullif(application_name, ''), '?') as program
from pg_locks as locks
join pg_class on pg_class.oid = locks.relation
join pg_namespace on pg_namespace.oid = relnamespace
left join pg_stat_activity using (pid)
where nspname = any($1::text[]) and locks.granted and locks.pid <> pg_backend_pid()
order by pid
limit 5;
