"""Docstrings of this project, as mkdocstrings reads them.

The house writes `Raises: InputError if …` and `Returns: the …` in one paragraph. Griffe wants a
title and indented items, so that it can make a table of them. It also takes a docstring whose only
section is numpydoc's `Examples` for plain text, and lists in its code for links.
"""

import re
import textwrap
from typing import Any

from griffe import Extension, Object

PARAGRAPH = re.compile(
    r"^(?P<title>Raises|Returns|Yields): (?P<words>.+(?:\n[ \t]+\S.*)*)$", re.MULTILINE
)
ERROR = re.compile(r"(?P<name>[A-Z]\w*(?:Error|Exception))(?:,|:)? ?(?P<rest>.*)")
EXAMPLES = re.compile(
    r"^Examples\n-{3,}\n(?P<body>.*?)(?=^\w[^\n]*\n-{3,}$|\Z)", re.MULTILINE | re.DOTALL
)
"""A section of numpydoc, up to the next one."""
TABLES = re.compile(
    r"^(?:Parameters|Other Parameters|Attributes|Returns|Raises|Yields)\n-{3,}$", re.MULTILINE
)
"""The titles by which Griffe knows numpydoc."""


class HouseDocstrings(Extension):
    """Rewrites each docstring before it is parsed."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Rewrite the docstring of one object."""
        if obj.docstring is not None:
            obj.docstring.value = with_sections(obj.docstring.value)


def with_sections(text: str) -> str:
    """Return a docstring whose `Raises`, `Returns`, `Yields` and `Examples` are sections."""
    if TABLES.search(text) is None:
        text = EXAMPLES.sub(_examples, text)
    return PARAGRAPH.sub(_section, text)


def _examples(match: re.Match[str]) -> str:
    end = "\n" if match["body"].endswith("\n\n") else ""
    return f"Examples:\n{textwrap.indent(match['body'].rstrip(), '    ')}\n{end}"


def _section(match: re.Match[str]) -> str:
    title, words = match["title"], " ".join(match["words"].split())
    if title == "Raises":
        error = ERROR.fullmatch(words)
        if error is None:
            return f"{title}: {words}"
        words = f"{error['name']}: {error['rest'] or 'as described.'}"
    return f"\n{title}:\n    {words}"
