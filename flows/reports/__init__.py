"""Readers of a publication: what a person is shown of it, and what changed since the one before."""
