"""Checks of machine, cluster and storage."""
