"""Formulas as MathML, which browsers draw by themselves: the site needs no script for them."""

import html
import re
from functools import cache

from latex2mathml.converter import convert

FORMULA = re.compile(
    r'<(?P<tag>span|div) class="arithmatex">\\[(\[](?P<latex>.*?)\\[)\]]</(?P=tag)>', re.DOTALL
)
"""What pymdownx.arithmatex makes of a formula."""


def with_maths(page: str) -> str:
    """Return the HTML of a page with its formulas as MathML."""
    return FORMULA.sub(_mathml, page)


def _mathml(match: re.Match[str]) -> str:
    is_block = match["tag"] == "div"
    formula = _convert(html.unescape(match["latex"]).strip(), is_block=is_block)
    return f'<div class="formula">{formula}</div>' if is_block else formula


@cache
def _convert(latex: str, *, is_block: bool) -> str:
    return convert(latex, display="block" if is_block else "inline")
