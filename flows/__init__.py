"""The edge: settings, sources, schedules, people. Prefect is imported in `flows.daily` only."""
