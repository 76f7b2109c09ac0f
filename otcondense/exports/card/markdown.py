"""Texts from outside in Markdown: they stay text, whatever they hold."""

import re
from collections.abc import Iterable, Mapping, Sequence

SPECIAL = frozenset("\\`*_[]#|~$^@")
"""Characters that mean something in the Markdown of the Hub: formulas, links and names too."""
BY_ITSELF = re.compile(r"(?<=www)\.|:(?=\S)", re.IGNORECASE)
"""Beginnings of addresses and of symbols that need no brackets to become links and pictures."""
HTML = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
SHOWN = 200
"""Characters of a text from outside that are shown."""


def plain(text: str) -> str:
    """Return a text in one line, without characters that cannot be seen, at most `SHOWN` long."""
    shown = "".join(letter if letter.isprintable() else " " for letter in text)
    shown = " ".join(shown.split())
    return shown if len(shown) <= SHOWN else f"{shown[: SHOWN - 1]}…"


def escaped(text: object) -> str:
    """Return a text from outside as Markdown that shows it and does nothing else."""
    letters = [HTML.get(each) or _escaped_letter(each) for each in plain(str(text))]
    return BY_ITSELF.sub(r"\\\g<0>", "".join(letters))


def _escaped_letter(letter: str) -> str:
    return f"\\{letter}" if letter in SPECIAL else letter


def link(text: str, address: str) -> str:
    """Return a link with a text from outside.

    Args:
        text: what is shown.
        address: checked by `is_address`.
    """
    return f"[{escaped(text)}](<{address}>)"


def is_address(text: str) -> bool:
    """Tell whether a text is the address of a page, safe inside a link."""
    is_web = text.startswith(("https://", "http://"))
    return is_web and text.isprintable() and not set(text) & set(" <>\"'\\`|@")


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; the cells are Markdown."""
    lines = [_row(columns), _row(["---"] * len(columns)), *map(_row, rows)]
    return "".join(f"{line}\n" for line in lines)


def facts(values: Mapping[str, str]) -> str:
    """Return a table of two columns without a heading; the values are Markdown."""
    return table(["", ""], values.items())


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
