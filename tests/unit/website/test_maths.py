"""Formulas become MathML."""

import re
from pathlib import Path

from website.maths import with_maths

FORMULA = re.compile(r"\$\$(?P<block>.+?)\$\$|\$(?P<inline>[^$]+)\$", re.DOTALL)
FORMULAS = [
    match["block"] or match["inline"]
    for match in FORMULA.finditer(Path("docs/method.md").read_text())
]


def test_a_formula_in_a_line_and_one_of_its_own() -> None:
    page = '<p>If <span class="arithmatex">\\(a &lt; b\\)</span>:</p>'
    block = '<div class="arithmatex">\\[x^2\\]</div>'
    assert '<math xmlns="http://www.w3.org/1998/Math/MathML" display="inline">' in with_maths(page)
    assert "&#x0003C;" in with_maths(page)
    assert with_maths(block).startswith('<div class="formula"><math')
    assert with_maths("<p>no formula</p>") == "<p>no formula</p>"


def test_no_command_of_the_formulas_is_left() -> None:
    assert len(FORMULAS) > 50
    for latex in FORMULAS:
        made = with_maths(f'<span class="arithmatex">\\({latex}\\)</span>')
        assert "\\" not in re.sub(r"<[^>]*>", "", made), latex
