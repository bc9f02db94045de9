"""One whole run in plain Python: planned once, ingested, computed, checked, published."""
