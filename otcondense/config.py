"""The base of every configuration model."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, model_validator

from otcondense.credentials import WHERE_INSTEAD, has_credentials


class Config(BaseModel):
    """A frozen configuration that refuses unknown keys.

    The string under a field is its description in `--help`.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, validate_default=True
    )

    RETIRED: ClassVar[frozenset[str]] = frozenset()
    """Settings of earlier versions that no longer exist: runs that name them can still be opened.
    They never changed a result."""

    @model_validator(mode="before")
    @classmethod
    def _drop_retired(cls, values: Any) -> Any:
        if not isinstance(values, Mapping) or not cls.RETIRED & values.keys():
            return values
        return {name: value for name, value in values.items() if name not in cls.RETIRED}

    @model_validator(mode="after")
    def _refuse_credentials(self) -> "Config":
        """Refuse an address with a key or password: it would be written down and shown."""
        for name, text in _texts(dict(self)):
            if has_credentials(text):
                raise ValueError(
                    f"{name} must be an address without credentials, found some in it; "
                    f"{WHERE_INSTEAD}"
                )
        return self


def _texts(values: Mapping[Any, Any]) -> Iterator[tuple[str, str]]:
    """Yield the name and the text of every setting, also in its lists and mappings.

    Each object is visited once: aliases of YAML can repeat one more often than could be counted.
    """
    pending = [(str(name), value) for name, value in values.items()]
    seen: set[int] = set()
    while pending:
        name, value = pending.pop()
        if isinstance(value, str):
            yield name, value
        elif isinstance(value, (Mapping, list, tuple)) and id(value) not in seen:
            seen.add(id(value))
            inner = value.values() if isinstance(value, Mapping) else value
            pending += [(name, each) for each in inner]


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
