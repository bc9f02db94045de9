"""Bitstamp: daily closes in USD, without a key."""
