"""Readers of a publication: summaries, pages and alerts, and what changed since the one before."""
