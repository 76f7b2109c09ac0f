"""The base of every configuration model."""

from typing import Any

from pydantic import BaseModel, ConfigDict


class Config(BaseModel):
    """A frozen configuration that refuses unknown keys.

    The string under a field is its description in `--help`.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, validate_default=True
    )


def without_defaults(config: Config, fields: frozenset[str]) -> dict[str, Any]:
    """Return a configuration as JSON, without those of `fields` that have their default.

    `fields` are newer than the first results of a component: results from before the field existed
    stay valid.
    """
    unchanged = set()
    for name, info in type(config).model_fields.items():
        default = info.get_default(call_default_factory=True)
        if name in fields and getattr(config, name) == default:
            unchanged.add(name)
    return config.model_dump(mode="json", exclude=unchanged)
