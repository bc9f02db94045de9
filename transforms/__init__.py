"""Numbers: pure Polars functions, frames in and frames out. No disk, network, database, clock or log."""
