"""The edge: settings, sources, runs, schedules, reports and the command. Only `flows.scheduled` imports Prefect."""
