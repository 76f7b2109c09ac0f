"""Measuring images through networks, shared by `evaluate`, `report` and `measure`."""
