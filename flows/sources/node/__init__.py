"""An own Bitcoin Core node: its blocks in order, with what their inputs spend, and the rows that follow from them."""
