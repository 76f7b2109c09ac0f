"""Patch tokens."""
