-- What PostgreSQL takes over of each column of a version, in the order of schemas, tables and columns.
with relation as (
    select schema_name, table_name, comment, null as definition from duckdb_tables() where database_name = current_database()
    union all
    select schema_name, view_name, comment, sql from duckdb_views() where database_name = current_database()
)
select
    schema_name,
    table_name,
    relation.comment as table_comment,
    relation.definition as view_definition,
    stored.column_name,
    stored.data_type,
    stored.comment as column_comment,
    stated.unit,
    stated.null_rule
from duckdb_columns() as stored
join relation using (schema_name, table_name)
left join meta.columns as stated
    on stored.schema_name = 'main'
    and stated.table_name = stored.table_name
    and stated.column_name = stored.column_name
where stored.database_name = current_database() and not stored.internal
order by schema_name, table_name, stored.column_index;
