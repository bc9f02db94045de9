select 1
from duckdb_tables()
where database_name = 'working' and schema_name = 'raw' and table_name = 'quarantine';
