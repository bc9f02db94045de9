"""One module a derived table: `TABLE`, with everything that belongs to this table and to no other."""
