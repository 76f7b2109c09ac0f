"""YAML files of settings, and the key `base` that builds one file on another."""

from pathlib import Path
from typing import Any

import yaml

from otcondense.errors import InputError

CONFIGS = Path(__file__).parents[1] / "configs"
"""The shipped configuration files."""


def read_yaml(path: str) -> dict[str, Any]:
    """Return the keys and values of a YAML file.

    A key `base` names another YAML file, relative to this one; its values hold where this file sets
    none. Groups of settings are merged, all other values are replaced.

    Raises: InputError if a file is missing, holds something else, or is its own base.
    """
    return _read_with_bases(Path(path), ())


def _read_with_bases(file: Path, readers: tuple[Path, ...]) -> dict[str, Any]:
    """Return the values of a file; `readers` are the files that led to it by `base`."""
    if file.resolve() in readers:
        raise InputError(f"{file} must not be its own base, found a circle of `base` keys")
    values = _read_one(file, readers)
    if "base" not in values:
        return values
    base = values.pop("base")
    if not isinstance(base, str):
        raise InputError(f"base in {file} must be the path of a YAML file, found {base!r}")
    inherited = _read_with_bases(file.parent / base, (*readers, file.resolve()))
    return _merge(inherited, values)


def _read_one(file: Path, readers: tuple[Path, ...]) -> dict[str, Any]:
    if not file.is_file():
        raise InputError(_missing_file(file, readers))
    values = parse_yaml(file.read_bytes(), str(file))
    if not isinstance(values, dict):
        raise InputError(f"{file} must hold keys and values, found {type(values).__name__}")
    return values


def _missing_file(file: Path, readers: tuple[Path, ...]) -> str:
    if readers:
        return f"base in {readers[-1]} must name a YAML file, found none at {file}"
    known = ", ".join(sorted(str(each) for each in CONFIGS.glob("*.yaml")))
    return f"configuration file {file} does not exist; the shipped ones are {known}"


def _merge(inherited: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    """Return `inherited` with `values` in it, groups of settings merged key by key."""
    merged = dict(inherited)
    for key, value in values.items():
        earlier = merged.get(key)
        if isinstance(earlier, dict) and isinstance(value, dict):
            merged[key] = _merge(earlier, value)
        else:
            merged[key] = value
    return merged


def parse_yaml(text: str | bytes, name: str) -> Any:
    """Return the value of a YAML text.

    Raises: InputError, which begins with `name`, if the text is not valid YAML.
    """
    try:
        return yaml.safe_load(text)
    except (
        yaml.YAMLError,
        ValueError,
        RecursionError,
    ) as error:  # impossible dates, endless nesting
        raise InputError(f"{name} is not valid YAML: {' '.join(str(error).split())}") from error
