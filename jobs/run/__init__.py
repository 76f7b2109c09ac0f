"""All stages of a run."""
