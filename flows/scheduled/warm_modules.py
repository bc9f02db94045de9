# ruff: noqa: F401
"""What a run imports, in one place, for the process that waits to be forked. It computes nothing and opens nothing."""

from flows.startup import importing

with importing():
    import fastapi.encoders
    import prefect.flow_engine
    import prefect.task_engine

    import flows.scheduled.alert_delivery
    import flows.scheduled.artifacts
    import flows.scheduled.flows
    import flows.sources.files
    import flows.sources.simulated
