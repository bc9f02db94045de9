"""Places that a publication is written to, one module each, behind the protocol of `warehouse.targets.protocol`."""
