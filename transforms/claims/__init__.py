"""Statements of an article, each judged by the columns of the published tables."""
