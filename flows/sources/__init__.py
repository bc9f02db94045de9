"""Sources: one outside system each, behind one small protocol. No Prefect here."""
