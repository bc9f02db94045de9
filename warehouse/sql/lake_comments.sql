-- Comments on tables and columns of `home` that are not those of `lake`: schema, table, column or NULL, comment.
with stated as (
    select database_name, schema_name, table_name, null as column_name, comment
    from duckdb_tables()
    union all
    select database_name, schema_name, table_name, column_name, comment
    from duckdb_columns()
    where (database_name, schema_name, table_name) in (
        select (database_name, schema_name, table_name) from duckdb_tables()
    )
)
select wanted.schema_name, wanted.table_name, wanted.column_name, wanted.comment
from stated as wanted
join stated as present on present.schema_name = wanted.schema_name
    and present.table_name = wanted.table_name
    and present.column_name is not distinct from wanted.column_name
where wanted.database_name = 'home'
    and present.database_name = 'lake'
    and present.comment is distinct from wanted.comment
