"""Metrics of any images."""
