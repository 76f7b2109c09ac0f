"""Where a network comes from, by its name, and the settings that fit it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from otcondense.encoders.encoder_config import EncoderConfig

TRANSFORMERS = "transformers:"
"""Prefix of the names of models of transformers. timm stays the default: its names have none."""
OWN_CODE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")
"""Names of functions: `package.module:function`."""


def transformers_name(name: str) -> str | None:
    """Return the name on the hub, or the folder, of a model of transformers; None for others."""
    return name.removeprefix(TRANSFORMERS) if name.startswith(TRANSFORMERS) else None


def is_own_code(name: str) -> bool:
    """Tell whether a name is that of a function of the user."""
    return not name.startswith(TRANSFORMERS) and OWN_CODE.fullmatch(name) is not None


def check_origin(config: EncoderConfig) -> None:
    """Refuse settings that do not belong to where a network comes from.

    Raises: ValueError.
    """
    is_transformers = config.transformers_name is not None
    if config.pooling is not None and not is_transformers:
        raise ValueError(
            f"pooling is for models of transformers, found {config.pooling} for {config.name}; "
            f"leave it out, or take name={TRANSFORMERS}NAME"
        )
    if config.version is not None and not config.is_own_code:
        raise ValueError(
            f"version is for your own function, found {config.version!r} for {config.name}; leave "
            "it out, or take name=package.module:function"
        )
    if not is_transformers and not config.is_own_code:
        return
    if config.train is not None or config.num_classes:
        raise ValueError(
            f"train and num_classes are for timm's classifiers; {config.name} gives features only: "
            "leave them out, and use confidence.kind=probe, none, or a classifier of its own"
        )
    if is_transformers and config.in_chans != 3:
        raise ValueError(f"in_chans must be 3 for {config.name}, found {config.in_chans}")
    if config.is_own_code and config.weights is not None:
        raise ValueError(
            f"weights are loaded by your function {config.name} itself, found {config.weights}; "
            "leave them out"
        )
