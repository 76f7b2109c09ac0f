"""The exact solver of the selection problem: certified swaps, cuts and bounds."""
