"""Glassnode: flows and balances of miners by day, with a key."""
