"""Difficulty scores."""
