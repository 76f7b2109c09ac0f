"""Who reads the site is told to nobody: its pages fetch nothing from elsewhere."""

import re
from collections.abc import Iterator
from pathlib import Path

ADDRESS = r"(?:https?:)?//"
FETCHED = {
    ".html": re.compile(
        rf"<(?:script|img|iframe|source|video|audio|embed)\b[^>]*\bsrc=[\"']?{ADDRESS}[^>]*>"
        rf"|<link\b[^>]*\bhref=[\"']?{ADDRESS}[^>]*>"
        rf"|<object\b[^>]*\bdata=[\"']?{ADDRESS}[^>]*>"
    ),
    ".css": re.compile(rf"url\([\"']?{ADDRESS}[^)]*\)|@import\s+[\"']{ADDRESS}[^;]*;"),
}
"""What a browser fetches by itself from another site, by the suffix of a file."""


class ForeignContentError(ValueError):
    """A page fetches something from another site."""


def check_site(folder: Path) -> None:
    """Look at all pages and styles of a built site.

    Raises: ForeignContentError with the first place.
    """
    for path in sorted(folder.rglob("*")):
        for found in fetched_from_elsewhere(path):
            raise ForeignContentError(f"{path.relative_to(folder)} fetches {found[:200]}")


def fetched_from_elsewhere(path: Path) -> Iterator[str]:
    """Yield what a page or a style fetches from other sites."""
    pattern = FETCHED.get(path.suffix)
    if pattern is not None:
        yield from (match[0] for match in pattern.finditer(path.read_text(encoding="utf-8")))
