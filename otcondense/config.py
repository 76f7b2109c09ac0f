"""The base of every configuration model."""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, ClassVar, get_args

from pydantic import BaseModel, ConfigDict, field_validator, model_validator
from pydantic_core import PydanticKnownError

from otcondense.credentials import WHERE_INSTEAD, has_credentials

NO_NUMBERS = frozenset({"bool", "bool_", "bytes"})
"""Types, by name, that pydantic takes for numbers: true would be 1, and b"5" would be 5."""


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

    @field_validator("*", mode="before")
    @classmethod
    def _refuse_other_kinds(cls, value: Any, info: Any) -> Any:
        """Refuse what is no number where one is wanted, and iterators, which can be read once."""
        number = _number_of(cls, str(info.field_name))
        if number is not None and any(type(each).__name__ in NO_NUMBERS for each in _flat(value)):
            raise PydanticKnownError("int_type" if number is int else "float_type")
        if isinstance(value, Iterator):
            raise PydanticKnownError("list_type")
        return value

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


@cache
def _number_of(model: type[Config], field: str) -> type[int | float] | None:
    """Return the type of numbers that a setting takes, alone or in a list; None if it takes bool.

    Of both types, it is float.
    """
    leaves = list(_leaves(model.model_fields[field].annotation))
    if any(each is bool or isinstance(each, bool) for each in leaves):
        return None
    return float if float in leaves else int if int in leaves else None


def _leaves(annotation: Any) -> Iterator[Any]:
    """Yield the types and choices that an annotation is made of."""
    inner = get_args(annotation)
    for each in inner:
        yield from _leaves(each)
    if not inner:
        yield annotation


def _flat(value: Any) -> Iterator[Any]:
    """Yield a value, or those of a list or mapping."""
    if isinstance(value, Mapping):
        yield from value.values()
    elif isinstance(value, (list, tuple)):
        yield from value
    else:
        yield value
