"""The only home of Prefect: flows, deployments, the server, artifacts and the delivery of alerts."""
