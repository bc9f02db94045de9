"""Vendor exports in a folder, recognised by their content and not by their names."""
