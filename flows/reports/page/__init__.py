"""The report: one HTML page of a publication that needs nothing beside it, the dictionary beside it, and pictures."""
