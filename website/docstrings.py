"""Docstrings of this project, as mkdocstrings reads them.

The house writes `Raises: InputError if …` and `Returns: the …` in one paragraph. Griffe wants a
title and indented items, so that it can make a table of them.
"""

import re
from typing import Any

from griffe import Extension, Object

PARAGRAPH = re.compile(
    r"^(?P<title>Raises|Returns|Yields): (?P<words>.+(?:\n[ \t]+\S.*)*)$", re.MULTILINE
)
ERROR = re.compile(r"(?P<name>[A-Z]\w*(?:Error|Exception))(?:,|:)? ?(?P<rest>.*)")


class HouseDocstrings(Extension):
    """Rewrites each docstring before it is parsed."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Rewrite the docstring of one object."""
        if obj.docstring is not None:
            obj.docstring.value = with_sections(obj.docstring.value)


def with_sections(text: str) -> str:
    """Return a docstring whose `Raises`, `Returns` and `Yields` are sections."""
    return PARAGRAPH.sub(_section, text)


def _section(match: re.Match[str]) -> str:
    title, words = match["title"], " ".join(match["words"].split())
    if title == "Raises":
        error = ERROR.fullmatch(words)
        if error is None:
            return f"{title}: {words}"
        words = f"{error['name']}: {error['rest'] or 'as described.'}"
    return f"\n{title}:\n    {words}"
