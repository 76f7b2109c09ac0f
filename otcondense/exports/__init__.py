"""Subsets and samples in the formats of other tools."""
