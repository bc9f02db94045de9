"""Binance: daily closes in USDT, without a key."""
