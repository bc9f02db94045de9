"""The block lake: public Parquet of every transaction, read in parts over plain HTTPS, without a node or a key."""
