"""Export of a subset."""
