-- Of the given schemas those that are there: whose mark they have, and whether anything is in them.
select
    nspname::text as schema_name,
    coalesce(obj_description(oid, 'pg_namespace'), '') as mark,
    exists (select 1 from pg_class where relnamespace = pg_namespace.oid) as has_any
from pg_namespace
where nspname = any($1::text[]);
