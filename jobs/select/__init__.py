"""A subset of features in files, without a run directory."""
