"""Trials of a sweep or a comparison: planning, running with Ray Tune, recording results."""
