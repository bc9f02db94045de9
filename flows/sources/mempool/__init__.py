"""mempool.space, or a mempool server of one's own: blocks with pool, reward and fees, and all changes of difficulty."""
