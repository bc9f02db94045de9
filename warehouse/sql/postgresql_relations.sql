-- Tables in the given schemas, and the roles that may read each of them beside its owner.
select
    nspname::text as schema_name,
    relname::text as table_name,
    array(
        select distinct case when grantee = 0 then 'public' else quote_ident(pg_get_userbyid(grantee)::text) end
        from aclexplode(relacl)
        where privilege_type = 'SELECT' and grantee <> relowner
    )::text[] as readers
from pg_class
join pg_namespace on pg_namespace.oid = relnamespace
where nspname = any($1::text[]) and relkind in ('r', 'p');
