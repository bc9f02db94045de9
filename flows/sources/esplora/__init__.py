"""Esplora, blockstream.info or a server of one's own: blocks, and their pool from the coinbase."""
