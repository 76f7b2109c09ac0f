"""What a run found: verdicts against random draws, and the lines that its end prints."""

import math

import pytest

from otcondense.report.answer import (
    Answer,
    Compared,
    LeftOut,
    RandomComparison,
    SubsetAnswer,
    answer_lines,
)

DRAWS = (0.8, 0.9, 0.85, 0.85)
"""Mean 0.85, standard deviation 0.041."""


@pytest.mark.parametrize(
    ("metric", "value", "verdict", "beaten"),
    [
        ("coverage", 0.95, "better", 4),
        ("coverage", 0.88, "within noise", 3),
        ("coverage", 0.70, "worse", 0),
        ("mind", 0.70, "better", 4),
        ("mind", 0.95, "worse", 0),
        ("mind", math.nan, "noise unknown", 0),
    ],
)
def test_the_verdict_follows_from_direction_and_noise(
    metric: str, value: float, verdict: str, beaten: int
) -> None:
    found = RandomComparison(metric, value, DRAWS)
    assert (found.verdict, found.beaten) == (verdict, beaten)
    assert math.isnan(value) or (found.gain > 0) == (beaten > 2)


@pytest.mark.parametrize(
    ("error", "verdict"), [(None, "noise unknown"), (0.01, "noise unknown"), (0.2, "within noise")]
)
def test_nothing_is_better_than_one_draw_alone(error: float | None, verdict: str) -> None:
    assert RandomComparison("coverage", 0.9, (0.85,), error).verdict == verdict


def test_the_end_of_a_run_says_where_how_good_and_what_is_missing() -> None:
    metrics = (
        RandomComparison("coverage", 0.95, DRAWS),
        RandomComparison("recall", 0.86, DRAWS),
    )
    compared = Compared("the chosen images", "lite2", 1, metrics)
    subset = SubsetAnswer("geometry_aware", "/r/subset.parquet", 10, 79, 1, 0.02, (compared,))
    lost = LeftOut(2, "image", "that cannot be read", "/r/q.parquet", ("a.jpg: empty",), "left out")
    copied = LeftOut(2, "image", "twice", examples=("b/1", "c/1"), is_kept=True)
    answer = Answer("/r", (subset,), (copied, lost), next_command="otcondense export r")
    assert answer_lines(answer) == [
        "subset geometry_aware: 10 of 79 images in 1 class",
        "  /r/subset.parquet",
        "  the chosen images against random: better in coverage; within noise in recall",
        "    by lite2 on 1 held-out image:",
        "    coverage 0.950 against 0.850 ± 0.041 (higher is better), beats 4 of 4 draws",
        "    recall 0.860 against 0.850 ± 0.041 (higher is better), beats 3 of 4 draws",
        "    ± is the standard deviation of 4 random draws",
        "  2.0 % of the images are like no chosen one (outliers)",
        "left out",
        "  2 images that cannot be read, left out (all in /r/q.parquet)",
        "    a.jpg: empty",
        "    and 1 more",
        "kept, but look at",
        "  2 images twice",
        "    b/1",
        "    c/1",
        "next",
        "  otcondense export r",
    ]


def test_a_run_without_a_comparison_says_why() -> None:
    answer = Answer("/r", (), (), "no images are held out; set held_out", "short training")
    assert answer_lines(answer) == [
        "  not compared with random draws: no images are held out; set held_out",
        "  short training",
    ]
