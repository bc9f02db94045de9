"""A chain of our own: deterministic, seeded, with real consensus rules, and invented from the first row to the last."""
