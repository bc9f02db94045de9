"""The report: one HTML page of a publication that needs nothing beside it, and the dictionary as a second one."""
