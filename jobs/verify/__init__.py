"""Checks of the files of a run."""
