"""The house's docstrings become sections that the reference shows."""

import pytest

from website.docstrings import with_sections


@pytest.mark.parametrize(
    ("house", "expected"),
    [
        ("Raises: InputError if it is empty.", "\nRaises:\n    InputError: if it is empty."),
        (
            "Raises: InputError with the expected\n    and the found value.",
            "\nRaises:\n    InputError: with the expected and the found value.",
        ),
        ("Raises: what a cell raises.", "Raises: what a cell raises."),
        ("Returns: one for each\n    budget.", "\nReturns:\n    one for each budget."),
        ("Raises:\n    ValueError: always.", "Raises:\n    ValueError: always."),
        ("It returns: nothing.", "It returns: nothing."),
    ],
)
def test_a_paragraph_becomes_a_section(house, expected) -> None:
    assert with_sections(f"What it does.\n\n{house}\n") == f"What it does.\n\n{expected}\n"
