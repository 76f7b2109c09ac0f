"""JSON as it is stored: canonical objects, their digests, and the lines of logs."""

import hashlib
import json
from contextlib import suppress
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

Line = TypeVar("Line")
DIGEST = "content"
"""Key of the digest in every JSON file."""


def canonical_json(value: Any, *, indent: int | None = None) -> str:
    """Return the canonical JSON of `value`: sorted keys, shortest floats, models as objects."""
    separators = (",", ":") if indent is None else (",", ": ")
    return json.dumps(
        value,
        sort_keys=True,
        indent=indent,
        separators=separators,
        ensure_ascii=False,
        default=_plain,
    )


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    raise TypeError(f"{type(value).__name__} has no canonical JSON form")


def digest_of(value: dict[str, Any]) -> str:
    """Return the SHA-256 of the canonical JSON of an object, as hexadecimal digits."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def parse_lines(text: bytes, kind: type[Line]) -> list[Line]:
    """Return the lines that describe objects of `kind`; broken ones are skipped."""
    adapter = TypeAdapter(kind)
    lines: list[Line] = []
    for line in text.split(b"\n"):
        with suppress(ValidationError):
            lines.append(adapter.validate_json(line))
    return lines
