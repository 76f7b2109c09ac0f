"""The settings of `otcondense stream`."""

import argparse
from typing import Any

from jobs.command.settings import build, override
from otcondense.errors import InputError
from otcondense.streaming import StreamConfig, StreamSettings

OPTIONS = ("budget", "seed")
"""Settings that are options here."""


def read_settings(options: argparse.Namespace) -> StreamConfig:
    """Return the settings of a stream.

    Raises: InputError for an unknown one or a wrong value.
    """
    given: dict[str, Any] = {}
    override(given, options.settings)
    for name in OPTIONS:
        if name in given:
            raise InputError(f"{name} is an option here; use --{name}")
    build(StreamSettings, given, None)
    return build(StreamConfig, {**given, "budget": options.budget, "seed": options.seed}, None)
