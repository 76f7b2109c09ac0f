"""The fields of configuration models, as `--help` shows them."""

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
    """One setting as `--help` shows it."""

    name: str
    default: str
    meaning: str


def describe_fields(annotation: Any = RunConfig, path: str = "") -> Iterator[FieldText]:
    """Yield every setting below a model."""
    model = model_of(annotation)
    assert model is not None
    for key, info in model.model_fields.items():
        inner = info.annotation
        name = join(path, key)
        if typing.get_origin(inner) is dict and model_of(typing.get_args(inner)[1]):
            inner = typing.get_args(inner)[1]
            name = f"{name}.NAME"
        if model_of(inner) is not None:
            yield from describe_fields(inner, name)
        else:
            yield FieldText(name, _default_of(info), " ".join((info.description or "").split()))


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
