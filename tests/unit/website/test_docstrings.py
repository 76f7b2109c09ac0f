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


def test_examples_alone_become_a_section_of_the_other_style() -> None:
    text = "What it is.\n\nExamples\n--------\n>>> [1]\n[1]\n"
    assert with_sections(text) == "What it is.\n\nExamples:\n    >>> [1]\n    [1]\n"


def test_examples_before_references_become_a_section() -> None:
    text = "What it is.\n\nExamples\n--------\n>>> 1\n1\n\nReferences\n----------\n.. [1] A book.\n"
    expected = (
        "What it is.\n\nExamples:\n    >>> 1\n    1\n\nReferences\n----------\n.. [1] A book.\n"
    )
    assert with_sections(text) == expected


def test_examples_beside_other_sections_stay_as_they_are() -> None:
    text = "What it is.\n\nParameters\n----------\na : int\n\nExamples\n--------\n>>> 1\n1\n"
    assert with_sections(text) == text
