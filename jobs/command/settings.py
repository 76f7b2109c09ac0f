"""Reading a configuration: a YAML file, then `key=value` pairs from the command line."""

import reprlib
import types
import typing
from collections.abc import Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from jobs.command.fields import describe_fields, join, model_of
from jobs.command.mistakes import sentences
from jobs.command.yaml_files import read_yaml
from jobs.command.yaml_text import parse_yaml
from jobs.run_directory.config import RunConfig
from otcondense.credentials import has_credentials
from otcondense.errors import InputError
from otcondense.near_names import did_you_mean, nearest_settings, suggested

MOST_SUGGESTED = 3
"""Names that a message suggests."""
AnyModel = TypeVar("AnyModel", bound=BaseModel)


def load_config(path: str, overrides: list[str], run: str | None = None) -> RunConfig:
    """Return the configuration in the YAML file `path` with `overrides` applied.

    Args:
        path: YAML file.
        overrides: `dotted.key=value`, the value in YAML.
        run: run directory; overrides the file.

    Raises: InputError naming the key, the expected and the found value.
    """
    values = read_values(path, overrides)
    if run is not None:
        values["run"] = run
    return build(RunConfig, values, path)


def read_values(
    path: str | None, overrides: list[str], kind: str = "configuration"
) -> dict[str, Any]:
    """Return the keys and values of a YAML file, if one is named, with `key=value` pairs applied.

    `kind` says what the file is, as in `read_yaml`.

    Raises: InputError for a pair without a key or `=`, or a value that is not valid YAML.
    """
    values = {} if path is None else read_yaml(path, kind)
    override(values, overrides)
    return values


def override(values: dict[str, Any], pairs: Sequence[str]) -> None:
    """Set the values of `dotted.key=value` pairs, the value in YAML.

    Raises: InputError for a pair without a key or `=`, or a value that is not valid YAML.
    """
    for pair in pairs:
        key, separator, text = pair.partition("=")
        if not separator or "" in key.split("."):
            found = "an address with credentials" if has_credentials(pair) else repr(pair)
            raise InputError(
                f"a setting must look like key=value, found {found}; "
                "see --help-settings for the keys"
            )
        set_value(values, key, parse_yaml(text, f"the value of {key}"))


def build(model: type[AnyModel], values: dict[str, Any], path: str | None) -> AnyModel:
    """Return the configuration that `values` describe.

    Args:
        model: of the configuration.
        values: by the names of its fields.
        path: the file that they are from, for errors; None for the command line alone.

    Raises: InputError naming the key, the expected and the found value.
    """
    _check_keys(model, values, "")
    try:
        return model.model_validate(_with_lists(model, values))
    except ValidationError as error:
        raise InputError(sentences(error.errors(), model, path)) from error


def _with_lists(annotation: Any, value: Any) -> Any:
    """Return a value with a list of one where a single value stands for a list.

    `selection.methods=random` means [random].
    """
    model = model_of(annotation)
    if isinstance(value, dict) and model is not None:
        fields = model.model_fields
        return {
            key: _with_lists(fields[key].annotation if key in fields else None, each)
            for key, each in value.items()
        }
    if isinstance(value, dict) and typing.get_origin(annotation) is dict:
        return {
            key: _with_lists(typing.get_args(annotation)[1], each) for key, each in value.items()
        }
    if isinstance(value, (str, int, float)) and _is_list(annotation):
        return [value]
    return value


def _is_list(annotation: Any) -> bool:
    """Tell whether a setting is a list, or null, and nothing else."""
    options = [annotation]
    if isinstance(annotation, types.UnionType):
        options = [each for each in typing.get_args(annotation) if each is not type(None)]
    return all(typing.get_origin(each) in (tuple, list) for each in options)


def set_value(values: dict[str, Any], name: str, value: Any) -> None:
    """Set the value of a dotted name; a group that is null begins empty.

    Raises: InputError if a part of the name is not a group of settings.
    """
    keys = name.split(".")
    for key in keys[:-1]:
        if values.get(key) is None:
            values[key] = {}
        inner = values[key]
        if not isinstance(inner, dict):
            found = reprlib.repr(inner)
            raise InputError(f"{name} cannot be set: {key} is {found}, not a group of settings")
        values = inner
    values[keys[-1]] = value


def _hint(model: type[BaseModel], key: object, path: str) -> str:
    """Return the names that may be meant by an unknown key, in its group or below it."""
    word = str(key)
    names = [field.name for field in describe_fields(model, path)]
    exact = [name for name in names if name.rpartition(".")[2] == word]
    if exact:
        return suggested(exact[:MOST_SUGGESTED])
    known = [join(path, name) for name in model.model_fields]
    near = did_you_mean(join(path, word), known) or suggested(nearest_settings(word, names))
    return near or f"; there are {', '.join(model.model_fields)}"


def _check_keys(annotation: Any, values: Any, path: str) -> None:
    """Refuse an unknown key with the nearest valid name."""
    model = model_of(annotation)
    if isinstance(values, dict) and model is not None:
        for key, value in values.items():
            if key in getattr(model, "RETIRED", ()):
                continue
            if key not in model.model_fields:
                raise InputError(
                    f"{join(path, str(key))} is not a setting{_hint(model, key, path)}"
                )
            _check_keys(model.model_fields[key].annotation, value, join(path, str(key)))
    elif isinstance(values, dict) and typing.get_origin(annotation) is dict:
        for key, value in values.items():
            _check_keys(typing.get_args(annotation)[1], value, join(path, str(key)))
