"""The fields of configuration models, as `--help-settings` lists them."""

import re
import types
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from jobs.run_directory.config import RunConfig


@dataclass(frozen=True)
class FieldText:
    """One setting, or a group of them, as `--help-settings` shows it."""

    name: str
    default: str
    """The default as YAML; empty for a group."""
    meaning: str


def describe_fields(annotation: Any = RunConfig, path: str = "") -> Iterator[FieldText]:
    """Yield every setting below a model."""
    for field, inner in _fields(annotation, path):
        if inner is None:
            yield field
        else:
            yield from describe_fields(inner, field.name)


def describe_groups(annotation: Any = RunConfig) -> Iterator[FieldText]:
    """Yield every setting below a model and every group; the settings of equal groups once."""
    yield from _described(annotation, "", {})


def _described(
    annotation: Any, path: str, listed: dict[type[BaseModel], str]
) -> Iterator[FieldText]:
    """Yield settings and groups; `listed` has the first group of each kind."""
    for field, inner in _fields(annotation, path):
        if inner is None:
            yield field
            continue
        first = listed.setdefault(inner, field.name)
        is_first = first == field.name
        more = "" if is_first else f" Its settings are those of {first}."
        yield FieldText(f"{field.name}.*", "", f"{field.meaning.strip()}{more}".strip())
        if is_first:
            yield from _described(inner, field.name, listed)


def _fields(annotation: Any, path: str) -> Iterator[tuple[FieldText, type[BaseModel] | None]]:
    """Yield the fields of a model, each with the model that it holds."""
    model = model_of(annotation)
    assert model is not None
    for key, info in model.model_fields.items():
        inner = info.annotation
        name = join(path, key)
        if typing.get_origin(inner) is dict and model_of(typing.get_args(inner)[1]):
            inner = typing.get_args(inner)[1]
            name = f"{name}.NAME"
        meaning = _meaning(info)
        group = model_of(inner)
        if group is None:
            yield FieldText(name, _default_of(info), meaning), None
        else:
            yield FieldText(name, "", f"{_marks(info, group)}{meaning}"), group


def _meaning(info: FieldInfo) -> str:
    """Return the meaning of a field in the words of a configuration, where None is null."""
    return re.sub(r"\bNone\b", "null", " ".join((info.description or "").split()))


def _marks(info: FieldInfo, group: type[BaseModel]) -> str:
    """Return what is special about a group: whether it is optional, and its own defaults."""
    if info.is_required():
        return ""
    default = info.get_default(call_default_factory=True)
    if default is None:
        return "(optional group, null unless it is set) "
    if not isinstance(default, group):
        return ""
    own = [
        f"{key} [{_default_text(value)}]"
        for key, value in default
        if not isinstance(value, BaseModel) and value != group.model_fields[key].default
        if not group.model_fields[key].is_required()
    ]
    return f"(with {', '.join(own)}) " if own else ""


def is_below(name: str, prefix: str) -> bool:
    """Tell whether a setting's name begins with a prefix; NAME stands for any name.

    `models.sit.training` finds what `models.NAME.training` does, and `sel` all of `selection`.
    """
    parts, wanted = name.split("."), prefix.split(".")
    if len(wanted) > len(parts):
        return False
    *groups, last = wanted
    is_in_groups = all(part in (ours, "NAME") for ours, part in zip(groups, parts, strict=False))
    part = parts[len(groups)]
    return is_in_groups and (part.startswith(last) or part == "NAME")


def _default_of(info: FieldInfo) -> str:
    if info.is_required():
        return "required"
    return _default_text(info.get_default(call_default_factory=True))


def _default_text(value: Any) -> str:
    if value is None or value is PydanticUndefined:
        return "null"
    if isinstance(value, tuple):
        return f"[{', '.join(_default_text(each) for each in value)}]"
    return str(value).lower() if isinstance(value, bool) else str(value)


def join(path: str, key: str) -> str:
    """Return the dotted name of a key below `path`."""
    return f"{path}.{key}" if path else key


def model_of(annotation: Any) -> type[BaseModel] | None:
    """Return the model that a field holds, also `X` in `X | None`."""
    options = (
        typing.get_args(annotation) if isinstance(annotation, types.UnionType) else (annotation,)
    )
    models = [each for each in options if isinstance(each, type) and issubclass(each, BaseModel)]
    return models[0] if len(models) == 1 else None
