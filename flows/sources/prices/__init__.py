"""Exchanges: daily closes in USD, each venue a supplier of its own, without a key."""
