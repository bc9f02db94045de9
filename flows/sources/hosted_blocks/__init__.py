"""What block explorers have in common: headers that prove themselves, a walk up the chain, the way back to a fork."""
