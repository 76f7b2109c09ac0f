"""Fingerprints decide which work is skipped: equal inputs and settings, equal fingerprint."""

import hashlib
from typing import Any

from otcondense.store.json_text import canonical_json


def sha256_bytes(data: bytes) -> str:
    """Return the SHA-256 of `data` as 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def fingerprint(value: Any) -> str:
    """Return the SHA-256 of the canonical JSON of `value` (pydantic models allowed)."""
    return sha256_bytes(canonical_json(value).encode())


def hash8(value: Any) -> str:
    """Return the first 8 hexadecimal digits of the fingerprint, for directory names."""
    return fingerprint(value)[:8]
