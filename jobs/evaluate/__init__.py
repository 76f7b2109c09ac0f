"""Metrics of samples and subsets."""
