"""Exports that somebody downloaded into a folder, recognised by what they hold and not by what they are called."""

from flows.sources.files.folder import Files

__all__ = ["Files"]
