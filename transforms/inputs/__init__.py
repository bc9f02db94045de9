"""Frames that metrics start from: observations and registry rows laid out by day, pool, contract or transfer."""
