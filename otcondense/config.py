"""The base of every configuration model."""

from typing import Any

from pydantic import BaseModel, ConfigDict


class Config(BaseModel):
    """A frozen configuration: unknown keys are refused, the string under a field is its description in `--help`."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, validate_default=True
    )


def without_defaults(config: Config, fields: frozenset[str]) -> dict[str, Any]:
    """Return a configuration as JSON, without those of `fields` that have their default.

    Fields that came after the first results of a component are named here, so that what was made before stays valid.
    """
    kept = {
        name: info.get_default(call_default_factory=True)
        for name, info in type(config).model_fields.items()
        if name in fields
    }
    return config.model_dump(
        mode="json",
        exclude={name for name, default in kept.items() if getattr(config, name) == default},
    )
