"""One module a topic, one function a published column."""
