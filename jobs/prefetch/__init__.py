"""Download of weights."""
