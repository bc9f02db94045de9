"""CryptoQuant: flows of miners and exchanges by day, with a key."""
