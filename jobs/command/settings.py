"""Reading a configuration: a YAML file, then `key=value` from the command line, every mistake named."""

import difflib
import reprlib
import types
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from jobs.run_directory.config import RunConfig
from otcondense.errors import InputError

CONFIGS = Path(__file__).parents[1] / "configs"
AnyModel = TypeVar("AnyModel", bound=BaseModel)


def load_config(path: str, overrides: list[str], run: str | None = None) -> RunConfig:
    """Return the configuration in the YAML file `path` with `overrides` applied.

    Args:
        path: YAML file.
        overrides: `dotted.key=value`, the value in YAML.
        run: directory of the run, in place of the file's.

    Raises: InputError naming the key, the expected and the found value.
    """
    values = read_values(path, overrides)
    if run is not None:
        values["run"] = run
    return build(RunConfig, values, path)


def read_values(path: str | None, overrides: list[str]) -> dict[str, Any]:
    """Return the keys and values of a YAML file, if one is named, with `key=value` pairs applied.

    Raises: InputError for a pair that is none, or values that are no YAML.
    """
    values = {} if path is None else read_yaml(path)
    for override in overrides:
        key, separator, text = override.partition("=")
        if not separator:
            raise InputError(
                f"an override must look like key=value, found {override!r}; see --help for the keys"
            )
        set_value(values, key, _parse_yaml(text, f"the value of {key}"))
    return values


def build(model: type[AnyModel], values: dict[str, Any], path: str) -> AnyModel:
    """Return the configuration that `values` describe; `path` is where they come from.

    Raises: InputError naming the key, the expected and the found value.
    """
    _check_keys(model, values, "")
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise InputError(
            "\n".join(_explain(problem, path) for problem in error.errors())
        ) from error


def read_yaml(path: str) -> dict[str, Any]:
    """Return the keys and values of a YAML file.

    Raises: InputError if it is missing, or holds something else.
    """
    file = Path(path)
    if not file.is_file():
        known = ", ".join(sorted(str(each) for each in CONFIGS.glob("*.yaml")))
        raise InputError(f"configuration file {path} does not exist; there are {known}")
    values = _parse_yaml(file.read_bytes(), path)
    if not isinstance(values, dict):
        raise InputError(f"{path} must hold keys and values, found {type(values).__name__}")
    return values


def _parse_yaml(text: str | bytes, name: str) -> Any:
    try:
        return yaml.safe_load(text)
    except (
        yaml.YAMLError,
        ValueError,
        RecursionError,
    ) as error:  # dates that are none, nesting without end
        raise InputError(f"{name} is not valid YAML: {' '.join(str(error).split())}") from error


def set_value(values: dict[str, Any], name: str, value: Any) -> None:
    """Set the value of a dotted name.

    Raises: InputError if a part of the name is no group of settings.
    """
    keys = name.split(".")
    for key in keys[:-1]:
        inner = values.setdefault(key, {})
        if not isinstance(inner, dict):
            raise InputError(f"{name} cannot be set: {key} is {inner!r}, not a group of settings")
        values = inner
    values[keys[-1]] = value


def _check_keys(annotation: Any, values: Any, path: str) -> None:
    """Refuse an unknown key with the nearest valid name."""
    model = _model_of(annotation)
    if isinstance(values, dict) and model is not None:
        for key, value in values.items():
            if key not in model.model_fields:
                near = difflib.get_close_matches(str(key), model.model_fields, n=1)
                hint = (
                    f"did you mean {_join(path, near[0])}?"
                    if near
                    else f"there are {', '.join(model.model_fields)}"
                )
                raise InputError(f"{_join(path, str(key))} is not a setting; {hint}")
            _check_keys(model.model_fields[key].annotation, value, _join(path, str(key)))
    elif isinstance(values, dict) and typing.get_origin(annotation) is dict:
        for key, value in values.items():
            _check_keys(typing.get_args(annotation)[1], value, _join(path, str(key)))


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _model_of(annotation: Any) -> type[BaseModel] | None:
    """Return the model that a field holds, `X` of `X | None` too."""
    options = (
        typing.get_args(annotation) if isinstance(annotation, types.UnionType) else (annotation,)
    )
    models = [each for each in options if isinstance(each, type) and issubclass(each, BaseModel)]
    return models[0] if len(models) == 1 else None


def _explain(problem: Any, path: str) -> str:
    name = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "missing":
        return f"{name} must be set: add {name}=VALUE to the command line, or set it in {path}"
    found = (
        "" if isinstance(problem["input"], dict) else f", found {reprlib.repr(problem['input'])}"
    )
    message = problem["msg"].removeprefix("Value error, ")
    return f"{name or path}: {message[0].lower()}{message[1:]}{found}"


@dataclass(frozen=True)
class FieldText:
    """One setting as `--help` shows it."""

    name: str
    default: str
    meaning: str


def describe_fields(annotation: Any = RunConfig, path: str = "") -> Iterator[FieldText]:
    """Yield every setting below a model."""
    model = _model_of(annotation)
    assert model is not None
    for key, info in model.model_fields.items():
        inner = info.annotation
        name = _join(path, key)
        if typing.get_origin(inner) is dict and _model_of(typing.get_args(inner)[1]):
            inner = typing.get_args(inner)[1]
            name = f"{name}.NAME"
        if _model_of(inner) is not None:
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
