-- Tables in the database `other`, without those that PostgreSQL has by itself.
select count(*)
from duckdb_tables()
where database_name = 'other' and schema_name not in ('information_schema', 'pg_catalog', 'pg_toast')
