select schema_name, view_name, sql, comment
from duckdb_views()
where database_name = $1 and not internal
order by view_name
