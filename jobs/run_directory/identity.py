"""Configurations without the settings that cannot change a result."""

from typing import Any

from otcondense.config import Config

RESOURCE_FIELDS = frozenset({"device", "memory_limit_gb", "num_workers", "pool", "threads"})
"""Settings that decide where and how fast a stage runs, but not its results."""


def identity(value: Any) -> Any:
    """Return a configuration as JSON without the settings that cannot change a result.

    A component can have its own method `identity` that says more precisely which these are.
    """
    if hasattr(value, "identity"):
        return value.identity()
    if isinstance(value, Config):
        return identity(value.model_dump(mode="json"))
    if isinstance(value, dict):
        return {key: identity(each) for key, each in value.items() if key not in RESOURCE_FIELDS}
    if isinstance(value, list):
        return [identity(each) for each in value]
    return value
