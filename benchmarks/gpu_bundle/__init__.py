"""Wheels for a GPU machine that has torch and no network."""
