"""Completion of verbs, options and settings in shells."""
