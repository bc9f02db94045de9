"""Exports that somebody downloaded into a folder, recognised by what they hold and not by what they are called."""
