"""Counts with their nouns."""

import pytest

from otcondense.counts import counted


@pytest.mark.parametrize(
    ("count", "noun", "expected"),
    [
        (1, "image", "1 image"),
        (0, "image", "0 images"),
        (2000, "image", "2,000 images"),
        (20, "class", "20 classes"),
        (4, "batch", "4 batches"),
        (6, "epoch", "6 epochs"),
        (1, "batch", "1 batch"),
        (3, "", "3"),
    ],
)
def test_a_count_has_the_right_form_of_its_noun(count, noun, expected):
    assert counted(count, noun) == expected
