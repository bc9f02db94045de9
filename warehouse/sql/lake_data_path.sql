select value from __ducklake_metadata_lake.ducklake_metadata where key = 'data_path'
