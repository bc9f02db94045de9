"""Storage: the only package that knows DuckDB and the files a run leaves behind."""
