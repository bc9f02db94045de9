"""One module a topic, one function a published column."""

import numpy as np
import polars as pl

# Polars imports NumPy at its first use there, in whichever of its threads that is, and two that do so at once fail
# with a TypeError (Polars 2.1). So the first use is here, while a single thread imports this package.
pl.Series(np.zeros(0))
