"""Forecasts of time, cost and memory of the stages of a run, for `--dry-run` and the benchmark."""
