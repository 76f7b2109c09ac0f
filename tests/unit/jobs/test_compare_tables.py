"""The tables of a comparison, and the sentences about them."""

import pytest

from jobs.compare.overview import overview_text, overviews
from jobs.compare.predictions import predictions
from jobs.compare.statements import statements
from jobs.compare.summary import cells, mean_ranks
from tests.generators.comparisons import (
    CONFIG,
    RECORDS,
    VARIANTS,
    record,
    records,
    tables,
)


def test_tables_start_with_the_best_and_statements_name_real_differences() -> None:
    found = tables(RECORDS)
    short, long = found
    assert [figure.variant for figure in long.figures] == ["ours", "random", "no noise"]
    assert [figure.rank for figure in long.figures] == [1, 2, 3]
    assert [figure.among_best for figure in long.figures] == [True, False, False]
    assert long.figures[0].interval.mean == pytest.approx(1.943)
    assert list(statements(found, CONFIG)) == [
        "frechet_distance, 100 images, 50 steps: none better than random; worse: ours (0 of 8 "
        "better); within the noise: no noise (4 of 8 better).",
        "frechet_distance, 100 images, 100 steps: better than random: ours (all 8 of 8 better); "
        "worse: no noise (0 of 8 better).",
    ]
    assert {figure.variant for figure in short.figures if figure.among_best} == {
        "random",
        "no noise",
    }


def test_equal_means_share_their_ranks() -> None:
    found = tables(RECORDS)
    assert [(figure.variant, figure.rank) for figure in found[0].figures] == [
        ("no noise", 1.5),  # both are 5.05, to the digits that tables show
        ("random", 1.5),
        ("ours", 3.0),
    ]
    assert mean_ranks(found, "frechet_distance") == {"random": 1.75, "ours": 2.0, "no noise": 2.25}


def test_values_below_the_floor_of_a_metric_are_equally_good() -> None:
    rows = [
        {"variant": name, "num_images": 9, "guidance": 1.0, "step": 1, "seed": 0, "copy_share": c}
        for name, c in (("random", 0.49), ("ours", 0.42), ("no noise", 0.6))
    ]
    config = CONFIG.model_copy(update={"metrics": ("copy_share",)})
    (found,) = cells(rows, config)
    assert [figure.rank for figure in found.figures] == [1.5, 1.5, 3.0]


def test_an_interval_stays_within_what_its_metric_can_be() -> None:
    rows = [
        {
            "variant": name,
            "num_images": 9,
            "guidance": 1.0,
            "step": 1,
            "seed": seed,
            "recall": value,
        }
        for name, values in (("random", (1.0, 0.97, 0.99)), ("ours", (0.0, 0.2, 0.01)))
        for seed, value in enumerate(values)
    ]
    config = CONFIG.model_copy(update={"metrics": ("recall",)})
    (found,) = cells(rows, config)
    ends = {each.variant: (each.interval.low, each.interval.high) for each in found.figures}
    assert ends["random"][1] == 1.0
    assert ends["random"][0] == pytest.approx(0.9487, abs=1e-4)  # the other end is as it was
    assert ends["ours"][0] == 0.0


def test_too_few_seeds_are_not_called_noise() -> None:
    found = tables(records(4))
    short, long = statements(found, CONFIG)
    assert short.endswith(
        "100 images, 50 steps: too few seeds to test, 7 needed: "
        "no noise (2 of 4 better), ours (0 of 4 better)."
    )
    assert "ours (all 4 of 4 better)" in long
    assert {figure.among_best for cell in found for figure in cell.figures} == {None}
    text = overview_text(overviews(found, CONFIG)[0])
    assert "too few seeds, all 4 of 4" in text
    assert "noise, " not in text.replace("no noise", "")


def test_a_variant_that_lacks_seeds_is_compared_on_the_common_ones() -> None:
    fewer = [each for each in RECORDS if each.values != {"variant": "ours", "seed": 7}]
    _, long = tables(fewer)
    (ours,) = (figure for figure in long.figures if figure.variant == "ours")
    assert ours.difference is not None
    assert (ours.difference.num_pairs, ours.interval.count) == (7, 7)
    # Its own mean lacks the worst seed; the difference does not gain from that.
    assert ours.difference.mean == pytest.approx(-0.106)
    assert "ours (all 7 of 7 common better)" in next(iter(statements([long], CONFIG)))


@pytest.mark.parametrize("budgets", [(), (10, 30)])
def test_a_variant_with_a_different_size_is_in_every_table(budgets: tuple[int, ...]) -> None:
    everything = [
        record("all", seed, {50: 1.0 + seed, 100: 0.5 + seed}, num_images=1000) for seed in range(8)
    ]
    larger = [
        record(each.values["variant"], each.values["seed"], {50: 1.0, 100: 1.0}, num_images=300)
        for each in RECORDS
    ]
    config = CONFIG.model_copy(
        update={"variants": {**VARIANTS, "all": {"method": "random"}}, "budgets": budgets}
    )
    found = tables([*RECORDS, *everything, *(larger if budgets else [])], config)
    assert {cell.num_images for cell in found} == ({100, 300} if budgets else {100})
    for cell in found:
        (figure,) = (figure for figure in cell.figures if figure.variant == "all")
        assert figure.difference is not None
        assert figure.difference.num_pairs == 8


def test_sizes_of_one_variant_are_never_pooled() -> None:
    """Such as random alone at a budget at which all trials of the others failed."""
    alone = [record("random", seed, {50: 9.0, 100: 9.0}, num_images=300) for seed in range(8)]
    found = {(cell.num_images, cell.step): cell for cell in tables([*RECORDS, *alone])}
    assert found[100, 100].figures == tables(RECORDS)[1].figures
    assert [figure.variant for figure in found[300, 100].figures] == ["random"]


def test_subset_metrics_are_compared_with_results_of_training() -> None:
    rows = [
        {
            "variant": name,
            "num_images": 10,
            "guidance": 1.0,
            "step": 5,
            "seed": 0,
            "frechet_distance": d,
            "subset_frechet_distance": d + 1,
            "subset_recall": d,
        }
        for name, d in zip("abcd", (1.0, 2.0, 3.0, 4.0), strict=True)
    ]
    found = {each.subset_metric: each.correlation for each in predictions(rows, "frechet_distance")}
    # A small distance before predicts a small one after; here a high recall predicts a bad one.
    assert found == {
        "subset_frechet_distance": pytest.approx(1.0),
        "subset_recall": pytest.approx(-1.0),
    }
    assert predictions(rows[:3], "frechet_distance") == []
