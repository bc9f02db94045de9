"""How fast the whole history is recomputed, next to plain pandas and to one hand-written SQL script."""
