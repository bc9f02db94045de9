select table_name
from duckdb_tables()
where database_name = 'working'
    and schema_name = 'ops'
    and table_name = 'first_published';
