"""One tenant, from settings to files."""
