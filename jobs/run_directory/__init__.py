"""A run directory: its configuration, the names of its files, its lock and the table of stages."""
