select table_name
from duckdb_columns()
where database_name = 'working'
    and schema_name = 'raw'
    and column_name = 'batch_id'
    and table_name in (select table_name from duckdb_tables() where database_name = 'working' and schema_name = 'raw')
order by table_name;
