"""Comparisons of selection methods: which trials, their tables, what can be said, and the page."""
