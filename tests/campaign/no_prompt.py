"""Imported before DuckDB, which takes a main module without a file for a prompt and shows progress bars there."""

import sys

sys.modules["__main__"].__file__ = __file__
