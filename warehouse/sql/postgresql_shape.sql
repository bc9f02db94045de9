-- The columns of a table in each of the given schemas: names and types, in their order.
select array_agg(attname::text || ' ' || format_type(atttypid, atttypmod) order by attnum)::text as columns
from pg_attribute
join pg_class on pg_class.oid = attrelid
join pg_namespace on pg_namespace.oid = relnamespace
where nspname = any($1::text[]) and relname = $2::text and attnum > 0 and not attisdropped
group by nspname;
