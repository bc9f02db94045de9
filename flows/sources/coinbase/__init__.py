"""Coinbase Exchange: daily closes in USD, without a key."""
