select table_name || '.' || column_name
from duckdb_columns()
where schema_name = 'main' and not internal and comment is null
order by 1;
