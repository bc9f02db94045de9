"""Coin Metrics: price, block totals and exchange flows by day, without a key."""
