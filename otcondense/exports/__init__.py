"""Exports of subsets and samples in the formats of other tools."""
