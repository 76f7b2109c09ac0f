"""Image sheets pixel by pixel, and the numbers behind the plots."""

import io

import numpy as np
import pytest
from PIL import Image
from sklearn.decomposition import PCA

from otcondense.errors import InputError
from otcondense.evaluation.registry import METRICS, SHARE, bounds_of
from otcondense.report.data import FeatureMap, LossCurve, MetricRow, ObjectiveHistory
from otcondense.report.planes import class_plane, principal_plane
from otcondense.report.plots import (
    COLOURS,
    feature_map,
    label,
    loss_curves,
    metric_curves,
    objective_history,
    running_mean,
)
from otcondense.report.sheets import FRAME, FRAME_COLOUR, GAP, LARGEST, image_sheet, row_length
from otcondense.report.spreads import Spread, interval_curves, seed_dots
from otcondense.report.svg import fitted


def pixels(sheet):
    return np.asarray(Image.open(io.BytesIO(sheet.png)))


def test_a_sheet_holds_each_image_enlarged_in_its_place():
    images = np.random.default_rng(0).integers(0, 256, (5, 3, 2, 3), dtype=np.uint8)
    sheet = image_sheet(images, width=GAP + 3 * (9 + GAP), tile=9)
    found = pixels(sheet)
    assert (
        found.shape
        == (GAP + 2 * (6 + GAP), GAP + 3 * (9 + GAP), 4)
        == (sheet.height, sheet.width, 4)
    )
    for number, image in enumerate(images):
        top, left = GAP + number // 3 * (6 + GAP), GAP + number % 3 * (9 + GAP)
        block = found[top : top + 6, left : left + 9]
        assert (block[::3, ::3, :3] == image.transpose(1, 2, 0)).all()
        assert (block[1:3, 1:3, :3] == image[:, 0, 0]).all()
        assert (block[..., 3] == 255).all()
    assert (found[:GAP, :, 3] == 0).all()
    assert (found[GAP + 6 + GAP :, -9 - GAP :, 3] == 0).all()  # the sixth place is empty


def test_grey_images_become_grey_and_frames_stay_in_the_gap():
    images = np.full((2, 1, 4, 4), 77, dtype=np.uint8)
    found = pixels(image_sheet(images, width=1000, tile=8, framed=np.array([False, True])))
    assert (found[GAP : GAP + 8, GAP : GAP + 8] == (77, 77, 77, 255)).all()
    left = GAP + 8 + GAP
    assert (found[GAP - FRAME, left - FRAME : left + 8 + FRAME] == FRAME_COLOUR).all()
    assert (found[GAP : GAP + 8, left : left + 8] == (77, 77, 77, 255)).all()
    assert (found[GAP - FRAME, : GAP + 8, 3] == 0).all()


def test_large_images_are_shrunk_and_rows_shortened():
    images = np.full((3, 3, 512, 256), 9, dtype=np.uint8)
    sheet = image_sheet(images, width=150)
    assert (sheet.height, sheet.width) == (
        2 * (LARGEST + GAP) + GAP,
        2 * (LARGEST // 2 + GAP) + GAP,
    )
    assert row_length(images, 150) == 2
    assert row_length(images, 1) == 1


@pytest.mark.parametrize("shape", [(0, 1, 4, 4), (2, 2, 4, 4)])
def test_a_sheet_needs_images(shape):
    with pytest.raises(InputError, match="1 or 3 channels"):
        image_sheet(np.zeros(shape, dtype=np.uint8), width=100)


@pytest.mark.parametrize(("n", "d"), [(40, 6), (5, 30), (9, 2)])
def test_the_plane_is_that_of_a_principal_component_analysis(n, d):
    features = np.random.default_rng(n).normal(size=(n, d)) * np.linspace(3, 1, d)
    reference = PCA(2).fit(features)
    points, shares = principal_plane(features)
    np.testing.assert_allclose(np.abs(points), np.abs(reference.transform(features)), atol=1e-9)
    np.testing.assert_allclose(shares, reference.explained_variance_ratio_, atol=1e-12)
    again, _ = principal_plane(features[::-1])
    np.testing.assert_allclose(again[::-1], points, atol=1e-9)


def test_the_plane_of_classes_separates_their_means_where_the_images_spread_elsewhere():
    generator = np.random.default_rng(0)
    means = np.zeros((3, 5))
    means[1, 0] = means[2, 1] = 4.0
    classes = np.arange(90) % 3
    features = means[classes] + generator.normal(size=(90, 5)) * [0.1, 0.1, 9.0, 9.0, 9.0]
    points, shares = class_plane(features, means)
    centres = np.stack([points[classes == number].mean(axis=0) for number in range(3)])
    distances = [np.linalg.norm(centres[a] - centres[b]) for a, b in ((0, 1), (0, 2), (1, 2))]
    np.testing.assert_allclose(distances, [4.0, 4.0, np.sqrt(32.0)], rtol=0.05)
    assert shares.sum() < 0.1
    np.testing.assert_array_equal(class_plane(features, means[:2])[0], principal_plane(features)[0])


@pytest.mark.parametrize("shape", [(1, 4), (2, 1), (5, 1), (1, 1)])
def test_degenerate_classes_still_have_a_plane(shape):
    points, shares = principal_plane(np.arange(float(np.prod(shape))).reshape(shape))
    assert points.shape == (shape[0], 2)
    assert np.isfinite(points).all()
    assert np.isfinite(shares).all()


@pytest.mark.parametrize("window", [1, 3, 50])
def test_running_mean_is_the_mean_of_what_came_before(window):
    values = np.random.default_rng(0).normal(size=12)
    expected = [values[max(0, i - window + 1) : i + 1].mean() for i in range(12)]
    np.testing.assert_allclose(running_mean(values, window), expected, atol=1e-12)


def test_metric_curves_join_the_training_lengths_of_a_method_in_order():
    rows = [
        MetricRow("SiT", name, steps, {"fid": value}, 1, 1, "e", "")
        for name, steps, value in [("a", 20, 1.0), ("b", 10, 3.0), ("a", 10, 2.0)]
    ]
    figure = metric_curves(rows, METRICS["fid"], ("b", "a"))
    assert [(list(trace.x), list(trace.y), trace.line.color) for trace in figure.data] == [
        ([10], [3.0], COLOURS[0]),
        ([10, 20], [2.0, 1.0], COLOURS[1]),
    ]


def test_objective_history_joins_its_stages_and_shows_the_bound():
    data = ObjectiveHistory(
        "3", "ga", np.array([4.0, 3.0, 2.5]), ("greedy", "greedy", "swap"), lower_bound=2.0
    )
    traces = {
        trace.name: (list(trace.x), list(trace.y))
        for trace in objective_history(data, ("ga",)).data
    }
    assert traces == {
        "greedy": ([1, 2], [4.0, 3.0]),
        "swap": ([2, 3], [3.0, 2.5]),
        "lower bound": ([1, 3], [2.0, 2.0]),
    }


@pytest.mark.parametrize("bound", [None, float("nan")])
def test_objective_history_without_a_bound_draws_none(bound):
    data = ObjectiveHistory("3", "ga", np.array([4.0, 3.0]), ("greedy", "greedy"), bound)
    assert [trace.name for trace in objective_history(data, ("ga",)).data] == ["greedy"]


def test_feature_map_shows_all_chosen_and_left_out_images():
    data = FeatureMap(
        "3",
        np.random.default_rng(0).normal(size=(20, 4)),
        {"ga": np.array([1, 2])},
        {"ga": np.array([5])},
    )
    sizes = {trace.name: len(trace.x) for trace in feature_map(data, ("ga",)).data}
    assert sizes == {"all 20 images": 20, "left out by ga (1)": 1, "chosen by ga (2)": 2}


def test_loss_curves_show_recorded_and_smoothed_values():
    steps = np.arange(100)
    figure = loss_curves([LossCurve("SiT", "ga", steps, np.linspace(1, 0, 100))], ("ga",))
    assert [trace.showlegend for trace in figure.data] == [False, None]
    assert figure.data[1].y[-1] == pytest.approx(np.linspace(1, 0, 100)[-5:].mean(), rel=1e-5)


def test_plotly_gets_names_without_markup():
    assert label("<b onclick=x>&") == "&lt;b onclick=x&gt;&amp;"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("recall", (0.0, 1.0)),
        ("judge.recall", (0.0, 1.0)),
        ("subset_coverage", (0.0, 1.0)),
        ("left_out_share", (0.0, 1.0)),
        ("frechet_distance", (0.0, np.inf)),
        ("kappa", (-np.inf, np.inf)),
        ("loss_gap", (-np.inf, np.inf)),
    ],
)
def test_a_quantity_has_the_bounds_of_its_metric(name, expected):
    assert bounds_of(name) == expected


def test_no_axis_and_no_interval_leaves_what_a_share_can_be():
    spreads = [
        Spread("a", 1, 0.98, 0.05, (0.97, 0.99)),
        Spread("b", 1, 0.01, 0.05, (0.0, 0.02)),
    ]
    curves = interval_curves(spreads, "recall", ["a", "b"], SHARE)
    for trace in curves.data:
        bars = trace.error_y
        assert trace.y[0] + bars.array[0] <= 1
        assert trace.y[0] - bars.arrayminus[0] >= 0
    dots = seed_dots(spreads, "recall", ["a", "b"], SHARE)
    assert dots.data[0].x == (0.93, 0.98, 1)
    assert dots.data[2].x == (0, 0.01, 0.06)
    rows = [MetricRow("m", "a", 1, {"recall": 1.0}, 5, 5, "judge", "0" * 64)]
    figures = (curves.layout.yaxis, dots.layout.xaxis)
    for axis in (*figures, metric_curves(rows, METRICS["recall"], ["a"]).layout.yaxis):
        assert (axis.autorangeoptions.clipmin, axis.autorangeoptions.clipmax) == (0, 1)
    assert fitted([0.9, 1.0], 0.0, 100.0, SHARE).high == 1.0
    assert fitted([0.0, 0.0], 0.0, 100.0, SHARE).low == 0.0
