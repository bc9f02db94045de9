select table_name, list(column_name order by column_index)
from duckdb_columns()
where schema_name = 'main' and not internal
group by table_name;
