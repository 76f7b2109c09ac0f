"""Best marks, provenance, and the statement on the order of methods."""

import pytest

from otcondense.evaluation.registry import METRICS
from otcondense.report.data import MetricRow, SubsetRow
from otcondense.report.orders import order_statements
from otcondense.report.published import PUBLISHED, published_for
from otcondense.report.tables import COPYING, QUALITY, metric_tables, subset_table


def row(method, steps, model="SiT", **values):
    return MetricRow(model, method, steps, values, 500, 397, "judge", "ab" * 32)


def best_marks(table):
    return [
        {
            metric.name: line.method
            for line in group.lines
            for metric, cell in zip(table.metrics, line.cells, strict=True)
            if cell.best
        }
        for group in table.groups
    ]


ERRORS = {"fid_std": 0.1, "recall_std": 0.01}


def test_the_best_figure_of_each_training_length_is_marked_in_its_direction():
    rows = [
        row("a", 600, fid=3.0, recall=0.5, **ERRORS),
        row("b", 600, fid=2.0, recall=0.4, **ERRORS),
        row("a", 2500, fid=1.0, recall=0.1, **ERRORS),
        row("b", 2500, fid=1.5, recall=0.2, **ERRORS),
    ]
    (table,) = metric_tables(rows)
    assert [metric.title for metric in table.metrics] == ["FID", "Recall"]
    assert [group.label for group in table.groups] == ["600 training steps", "2,500 training steps"]
    assert best_marks(table) == [{"fid": "b", "recall": "a"}, {"fid": "a", "recall": "b"}]
    assert (
        table.provenance
        == "500 samples against 397 held-out images through judge (weights abababababab)."
    )


def marks(rows, metrics=QUALITY):
    (table,) = metric_tables(rows, metrics)
    return [[line.cells[0].mark for line in group.lines] for group in table.groups]


@pytest.mark.parametrize(
    ("values", "errors", "expected"),
    [
        ((2.0, 3.0), (0.1, 0.1), ["best", ""]),
        ((2.0, 2.25), (0.1, 0.1), ["ahead", ""]),  # 2.5 standard errors of one, 1.8 of both
        ((2.0, 3.0), (0.1, None), ["ahead", ""]),
        ((2.0, 3.0, 2.1), (0.1, 0.1, 0.1), ["ahead", "", ""]),
        ((2.001, 2.004, 2.4), (0.0, 0.0, 0.0), ["", "", ""]),  # look equal
        ((2.0, 2.0), (0.1, 0.1), ["", ""]),
        ((2.0,), (0.1,), [""]),
        ((None, 2.0), (None, 0.1), ["", ""]),
    ],
)
def test_only_what_is_better_beyond_the_noise_is_called_best(values, errors, expected):
    rows = []
    for name, value, error in zip("abc", values, errors, strict=False):
        known = {"fid": value, "fid_std": error, "recall": 0.5}
        rows.append(row(name, 1, **{key: each for key, each in known.items() if each is not None}))
    assert marks(rows) == [expected]


def test_copy_shares_below_half_are_equally_good():
    rows = [
        row("a", 1, copy_share=0.41, copy_share_std=0.02),
        row("b", 1, copy_share=0.5),
        row("c", 1, copy_share=0.6),
    ]
    assert marks(rows, COPYING) == [["", "", ""]]
    assert marks(rows[::2], COPYING) == [["ahead", ""]]
    (table,) = metric_tables(rows, COPYING)
    assert [line.cells[0].spread for line in table.groups[0].lines] == ["0.020", "", ""]


def test_missing_values_are_shown_as_missing():
    (table,) = metric_tables([row("a", 1, fid=2.0, precision=0.5), row("b", 1, fid=3.0)])
    assert table.groups[0].lines[1].cells[1].text == "n/a"
    assert not table.groups[0].lines[1].cells[1].best


@pytest.mark.parametrize(
    ("distance", "columns"), [(2.000001, ["fid"]), (2.1, ["fid", "frechet_distance"])]
)
def test_a_distance_that_repeats_fid_has_no_column(distance, columns):
    (table,) = metric_tables([row("a", 1, fid=2.0, frechet_distance=distance)])
    assert [metric.name for metric in table.metrics] == columns
    assert bool(table.note) == (len(columns) == 1)


def test_each_model_has_its_table():
    assert [
        table.name for table in metric_tables([row("a", 1, fid=1.0), row("a", 1, "DiT", fid=2.0)])
    ] == ["SiT", "DiT"]


def test_subsets_compete_only_at_equal_size():
    rows = [
        SubsetRow("a", 10, 50, {"frechet_distance": 4.0, "frechet_distance_std": 0.1}),
        SubsetRow("b", 10, 50, {"frechet_distance": 3.0, "frechet_distance_std": 0.1}),
        SubsetRow("a", 20, 50, {"frechet_distance": 1.0}),
    ]
    table = subset_table(rows)
    assert [group.label for group in table.groups] == ["10 chosen images", "20 chosen images"]
    assert best_marks(table) == [{"frechet_distance": "b"}, {}]


@pytest.mark.parametrize(
    ("long", "verdict"),
    [
        ({"a": (1.0, 0.9), "b": (2.0, 0.5)}, "by FID the order does not flip."),
        ({"a": (2.0, 0.9), "b": (1.0, 0.5)}, "by FID the order flips, beyond the noise."),
        ({"a": (1.1, 0.9), "b": (1.0, 0.5)}, "by FID the order changes, but within the noise."),
        (
            {"a": (1.0, 0.5), "b": (2.0, 0.9)},
            "by FID the order does not flip; but it flips by Recall.",
        ),
        (
            {"a": (2.0, 0.5), "b": (1.0, 0.9)},
            "by FID the order flips, beyond the noise; it also flips by Recall.",
        ),
        ({"a": (1.0, 0.69), "b": (2.0, 0.7)}, "by FID the order does not flip."),
    ],
)
def test_the_report_says_whether_the_order_flipped_beyond_the_noise(long, verdict):
    short = {"a": (3.0, 0.8), "b": (4.0, 0.7)}
    rows = []
    for steps, values in ((600, short), (2500, long)):
        for name, (fid, recall) in values.items():
            rows.append(row(name, steps, fid=fid, recall=recall, **ERRORS))
    (found,) = order_statements(rows)
    assert (found.model, found.verdict) == ("SiT", verdict)
    assert found.orders[0] == ("600 steps", "a, b")


def test_without_standard_errors_a_changed_order_is_no_flip():
    rows = [row("a", 1, fid=3.0), row("b", 1, fid=4.0), row("a", 2, fid=2.0), row("b", 2, fid=1.0)]
    (found,) = order_statements(rows)
    assert "without standard errors" in found.verdict
    assert "flips" not in found.verdict


def test_equal_values_share_a_place_in_the_order():
    (found,) = order_statements(
        [row("a", 1, fid=2.0), row("b", 1, fid=2.0), row("a", 2, fid=1.0), row("b", 2, fid=1.001)]
    )
    assert found.orders == (("1 step", "a = b"), ("2 steps", "a = b"))
    assert "does not flip" in found.verdict


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([row("a", 1, fid=1.0), row("b", 1, fid=2.0)], "one training length"),
        ([row("a", 1, fid=1.0), row("a", 2, fid=2.0), row("b", 2, fid=2.0)], "one method"),
        (
            [
                row("a", 1, fid=1.0),
                row("b", 1, recall=0.1),
                row("a", 2, fid=2.0),
                row("b", 2, fid=2.0),
            ],
            "a metric that all rows have",
        ),
    ],
)
def test_nothing_is_claimed_without_a_comparison(rows, reason):
    (found,) = order_statements(rows)
    assert reason in found.verdict
    assert found.orders == ()


def test_every_metric_of_the_tables_says_which_way_is_better():
    lower = {metric.name for metric in (*QUALITY, *COPYING) if metric.direction == "lower"}
    distances = {"fid", "frechet_distance", "mind", "cmmd", "adm_fid", "adm_sfid"}
    assert lower == distances | {
        "duplicate_share",
        "leakage_share",
        "copy_share",
        "near_copy_share",
        "held_out_loss",
        "loss_gap",
    }
    assert {metric.arrow for metric in QUALITY if metric.direction == "higher"} == {"↑"}


def test_copying_has_separate_tables():
    rows = [row("a", 1, fid=2.0, copy_share=0.6, authenticity=0.9)]
    assert [metric.name for metric in metric_tables(rows)[0].metrics] == ["fid"]
    assert [metric.name for metric in metric_tables(rows, COPYING)[0].metrics] == [
        "copy_share",
        "authenticity",
    ]
    assert metric_tables([row("a", 1, fid=2.0)], COPYING) == ()


def test_published_figures_are_those_of_the_same_run():
    found = published_for("DiT-L/2", 256, 10_000)
    assert {row.method for row in found if not row.caution} == {"CCS", "DQ", "D2C", "GADC"}
    # The two figures for random choice differ eightfold; the larger one needs a caution.
    (unequal,) = (row for row in found if row.method == "random")
    assert unequal.values["adm_fid"] == 35.86
    assert "4.63" in unequal.caution
    assert published_for("SiT-demo/2", 8, 100) == ()
    for published in PUBLISHED:
        assert set(published.values) <= set(METRICS)
        assert published.source in ("GADC", "D2C")
