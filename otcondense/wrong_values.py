"""What a setting must be, in our words, by the kind of error that pydantic reports."""

import re
import reprlib
from collections.abc import Mapping
from typing import Any

from pydantic_core import ErrorDetails

FIXED: Mapping[str, str] = {
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "bytes_type": "text",
    "dict_type": "a group of keys and values",
    "float_parsing": "a number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "frozen_set_type": "a list such as [a, b]",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "int_parsing_size": "a whole number of at most 4300 digits",
    "int_type": "a whole number",
    "is_instance_of": "a value of another kind",
    "list_type": "a list such as [a, b]",
    "mapping_type": "a group of keys and values",
    "model_attributes_type": "a group of settings",
    "model_type": "a group of settings",
    "none_required": "null",
    "path_type": "a path",
    "set_type": "a list such as [a, b]",
    "string_type": "text",
    "string_sub_type": "text",
    "string_unicode": "text",
    "tuple_type": "a list such as [a, b]",
}
"""Errors that say the same for each setting."""
WITH_LIMITS: Mapping[str, str] = {
    "enum": "{expected}",
    "greater_than": "above {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "below {lt}",
    "less_than_equal": "at most {le}",
    "literal_error": "{expected}",
    "multiple_of": "a multiple of {multiple_of}",
    "string_pattern_mismatch": "text of the form {pattern}",
    "string_too_long": "text of at most {max_length} characters",
    "string_too_short": "text of at least {min_length} characters",
    "too_long": "a list of at most {max_length} values",
    "too_short": "a list of at least {min_length} values",
}
"""Errors whose limits pydantic reports, by the names of its context."""
PATTERNS: Mapping[str, str] = {r"^[\w-]+$": "text of letters, digits, _ and -"}
"""What texts of a form must be."""
OTHERWISE = "a value of another kind"
"""For errors that no setting of ours has today."""


class _InYaml(reprlib.Repr):
    """Shortened texts of values, with the words of YAML."""

    def repr_NoneType(self, _: None, __: int) -> str:  # noqa: N802 - called by reprlib
        return "null"

    def repr_bool(self, value: bool, _: int) -> str:  # noqa: FBT001 - called by reprlib
        return str(value).lower()


_IN_YAML = _InYaml()


def expected_value(error: ErrorDetails) -> str:
    """Return what a setting must be, to go after "must be"."""
    context = {name: _plain(value) for name, value in error.get("ctx", {}).items()}
    if context.get("pattern") in PATTERNS:
        return PATTERNS[context["pattern"]]
    if error["type"] in WITH_LIMITS:
        return WITH_LIMITS[error["type"]].format_map(context)
    return FIXED.get(error["type"], OTHERWISE)


def _plain(value: Any) -> Any:
    """Return a limit as a person writes it: 1 for 1.0."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def own_message(error: ErrorDetails) -> str:
    """Return the message of a check of ours, without what pydantic puts before it."""
    message = error["msg"].removeprefix("Value error, ")
    in_yaml = re.sub(r"(=|found )None\b", rf"\1{shown(None)}", message)
    return f"{in_yaml[0].lower()}{in_yaml[1:]}"


def described(error: ErrorDetails) -> str:
    """Return what is wrong with a value, to go after its name."""
    if error["type"] == "missing":
        return "must be set"
    if error["type"] == "extra_forbidden":
        return "is not a setting"
    if error["type"] == "value_error":
        return own_message(error)
    return f"must be {expected_value(error)}, found {shown(error['input'])}"


def shown(value: Any) -> str:
    """Return a value as a configuration file has it, shortened if it is long."""
    return _IN_YAML.repr(value)
