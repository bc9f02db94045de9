"""The `hashpivot` command: what a person types, and the exit code of each failure."""
