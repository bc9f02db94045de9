select table_name, list(column_name order by column_index)
from duckdb_columns()
where schema_name = ? and database_name = 'publication'
group by table_name;
