"""Hypothesis draws the same examples every time: a red run is a change of ours, not of the dice."""

from hypothesis import settings

settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")
