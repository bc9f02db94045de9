"""What must be true: of finished tables, of what vendors report, and between sources."""
