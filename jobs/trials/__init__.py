"""Trials of a sweep or a comparison: planning them, running them with Ray Tune, recording results."""
