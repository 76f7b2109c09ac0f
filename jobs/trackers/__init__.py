"""Trackers: runs and trials in W&B, MLflow and TensorBoard."""
