select schema_name, table_name, list([column_name, data_type] order by column_index)
from duckdb_columns()
where database_name = $1
    and not internal
    and (schema_name, table_name) in (select (schema_name, table_name) from duckdb_tables() where database_name = $1)
group by schema_name, table_name
order by schema_name, table_name
