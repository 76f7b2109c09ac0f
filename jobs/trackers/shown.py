"""What may leave the machine with a tracker: no text that looks like a secret."""

import os
from collections.abc import Iterator, Mapping
from typing import Any

from otcondense.credentials import is_secret_name, is_secret_value

LEAST_SECRET = 6
"""Characters of the shortest value of a variable that is looked for in messages."""
MOST_CHARACTERS = 300
"""Length at which the message of an error is cut: it can quote a whole answer of a server."""


def without_secrets(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return JSON without the texts that look like secrets."""
    return {name: _plain(value) for name, value in values.items() if not _is_secret(value)}


def flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield the dotted name and the text of every setting; empty groups and nulls are left out."""
    for name, value in values.items():
        full = f"{prefix}{name}"
        if isinstance(value, Mapping):
            yield from flat(value, f"{full}.")
        elif value is not None:
            yield full, str(value)


def reason(error: BaseException) -> str:
    """Return why a library failed, in one line without any secret."""
    lines = str(error).strip().splitlines()
    text = f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
    if is_secret_value(text) or any(secret in text for secret in _own_secrets()):
        return f"{type(error).__name__}, whose message holds a secret and is not shown"
    return text if len(text) <= MOST_CHARACTERS else f"{text[:MOST_CHARACTERS]} ..."


def _own_secrets() -> Iterator[str]:
    """Yield the values of this process's variables that are secrets by their names."""
    for name, value in os.environ.items():
        if is_secret_name(name) and len(value) >= LEAST_SECRET:
            yield value


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return without_secrets(value)
    if isinstance(value, list):
        return [_plain(each) for each in value if not _is_secret(each)]
    return value


def _is_secret(value: Any) -> bool:
    return isinstance(value, str) and is_secret_value(value)
