"""Mistakes in a configuration as sentences: one for each setting, in the words of the file."""

import re
import reprlib
import types
import typing
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from jobs.command.fields import model_of
from otcondense.credentials import has_credentials
from otcondense.near_names import did_you_mean
from otcondense.wrong_values import expected_value, own_message, shown


@dataclass(frozen=True)
class _Place:
    """The setting that an error is about."""

    name: str
    """Dotted name of the setting, without what pydantic adds for the parts of a union."""
    below: tuple[str, ...] = ()
    """Keys below a setting that can have several types."""
    in_union: bool = False


def sentences(errors: Sequence[ErrorDetails], model: type[BaseModel], origin: str | None) -> str:
    """Return one line for each setting that is wrong.

    Args:
        errors: of pydantic.
        model: the model that refused the values.
        origin: the file of the settings; None if they come from the command line alone.
    """
    groups: dict[str, list[tuple[_Place, ErrorDetails]]] = {}
    for error in errors:
        place = _place(model, error["loc"])
        groups.setdefault(place.name, []).append((place, error))
    lines: list[str] = []
    for found in groups.values():
        lines += _lines(found, origin)
    return "\n".join(lines)


def _lines(found: list[tuple[_Place, ErrorDetails]], origin: str | None) -> Iterator[str]:
    """Yield the lines about one setting: one, unless it is a group whose own checks failed."""
    if not found[0][0].in_union:
        yield from (_line(place.name, [error], origin) for place, error in found)
        return
    deeper = [(place, error) for place, error in found if place.below]
    if deeper:
        # One type fits up to a key below: only that key is wrong.
        place, error = deeper[0]
        yield _line(".".join([place.name, *place.below]), [error], origin)
    else:
        yield _line(found[0][0].name, [error for _, error in found], origin)


def _line(name: str, errors: list[ErrorDetails], origin: str | None) -> str:
    """Return the sentence about a setting that none of its types fits."""
    first = errors[0]
    if isinstance(first["input"], dict):
        # A group that one of the types takes, and whose own check failed, is of that type.
        first = next((error for error in errors if error["type"] == "value_error"), first)
    if first["type"] == "missing":
        place = f", or set it in {origin}" if origin else ""
        return f"{name} must be set: add {name}=VALUE to the command line{place}"
    found = f", found {shown(first['input'])}"
    if _may_hold_credentials(first["input"]):
        found = ""
    if first["type"] == "value_error":
        # The check of a whole group names the value itself.
        found = "" if isinstance(first["input"], dict) else found
        return f"{name or origin or 'the settings'}: {own_message(first)}{found}"
    expected = " or ".join(dict.fromkeys(map(expected_value, errors)))
    hint = _hint(first) if found else ""
    return f"{name or origin or 'the settings'} must be {expected}{found}{hint}"


def _hint(error: ErrorDetails) -> str:
    """Return the choice that a mistyped value is nearest to."""
    if error["type"] != "literal_error" or not isinstance(error["input"], str):
        return ""
    return did_you_mean(error["input"], re.findall(r"'([^']*)'", error["ctx"]["expected"]))


def _may_hold_credentials(value: object) -> bool:
    """Tell whether a value must not be repeated; only the start of a long one is looked at."""
    if isinstance(value, str):
        return has_credentials(value)
    return "://" in reprlib.repr(value)


def _place(model: type[BaseModel], location: tuple[int | str, ...]) -> _Place:
    """Return the setting at a location as pydantic reports it."""
    annotation: Any = model
    names: list[str] = []
    for number, part in enumerate(location):
        if _is_choice(annotation):
            below = _keys_below(_option(annotation, part), location[number + 1 :])
            return _Place(".".join(names), below, in_union=True)
        if part != "[key]":
            names.append(str(part))
        annotation = _inner(annotation, part)
    return _Place(".".join(names))


def _keys_below(annotation: Any, location: tuple[int | str, ...]) -> tuple[str, ...]:
    """Return the keys of a location below one type of a setting, without the parts of unions."""
    keys: list[str] = []
    for part in location:
        if _is_choice(annotation):
            annotation = _option(annotation, part)
            continue
        if part != "[key]":
            keys.append(str(part))
        annotation = _inner(annotation, part)
    return tuple(keys)


def _option(annotation: Any, part: int | str) -> Any:
    """Return the type of a union that pydantic means by a part of a location; None for a value."""
    for each in typing.get_args(annotation):
        name = getattr(typing.get_origin(each) or each, "__name__", "")
        if str(part) == name or str(part).startswith(f"{name}["):
            return each
    return None


def _is_choice(annotation: Any) -> bool:
    """Tell whether a setting can have several types besides null."""
    if not isinstance(annotation, types.UnionType):
        return False
    return len([each for each in typing.get_args(annotation) if each is not type(None)]) > 1


def _inner(annotation: Any, part: int | str) -> Any:
    """Return the type of one key or one entry of a setting."""
    model = model_of(annotation)
    if model is not None:
        info = model.model_fields.get(str(part))
        return None if info is None else info.annotation
    if isinstance(annotation, types.UnionType):
        (annotation,) = (each for each in typing.get_args(annotation) if each is not type(None))
    arguments = typing.get_args(annotation)
    if not arguments:
        return None
    return arguments[1] if typing.get_origin(annotation) is dict else arguments[0]
