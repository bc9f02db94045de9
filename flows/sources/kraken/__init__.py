"""Kraken: daily closes in USD, without a key."""
