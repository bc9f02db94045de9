"""What block explorers have in common: checked headers, a walk up the chain, and the search for a fork."""
