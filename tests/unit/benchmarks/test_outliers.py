import numpy as np
import pytest
from scipy import stats

from benchmarks.outliers.choosing import choose, measure
from benchmarks.outliers.pools import COMMON, OUTLIER, RARE, Pool
from benchmarks.outliers.solar_cells import (
    RARE_SHARE,
    DoubtfulLabels,
    RareDefects,
    SolarCells,
)
from benchmarks.outliers.table import Choice, Mean, Row, Table

IMAGES = 40


@pytest.fixture(scope="module")
def pool():
    """Two classes: a common mode, a rare one and a distant outlier each."""
    generator = np.random.default_rng(0)
    kinds = np.array(([COMMON] * 24 + [RARE] * 5 + [OUTLIER]) * 2)
    labels = np.repeat([0, 1], 30)
    centres = {COMMON: 0.0, RARE: 3.0, OUTLIER: 30.0}
    places = np.array([centres[kind] for kind in kinds])[:, None] + 100 * labels[:, None]
    features = (places + generator.normal(size=(60, 4))).astype(np.float32)
    logits = np.eye(2, dtype=np.float32)[labels]
    held_out = kinds != OUTLIER
    return Pool(
        "points",
        "none",
        kinds,
        labels,
        features,
        logits,
        generator.random(60),
        features,
        kinds[held_out],
        features[held_out],
    )


@pytest.mark.parametrize("method", ["kappa 1.05", "ccs", "subzerocore"])
def test_each_method_chooses_its_budget_of_each_class(pool, method):
    rows = choose(method, 4, 0, pool)
    assert np.bincount(pool.labels[rows]).tolist() == [4, 4]
    assert len(set(rows.tolist())) == 8


def test_measures_count_kinds_and_cover_rare_images_apart(pool):
    common, rare, outlier = (np.flatnonzero(pool.kinds == kind) for kind in (COMMON, RARE, OUTLIER))
    found = measure(np.concatenate([common[:2], rare[:1], outlier[:1]]), pool)
    assert (found["outliers"], found["rare"]) == (0.25, 0.25)
    everything = measure(np.arange(60), pool)
    assert (everything["coverage"], everything["rare_coverage"]) == (1, 1)
    only_outliers = measure(np.repeat(outlier, 2), pool)
    assert (only_outliers["coverage"], only_outliers["rare_coverage"]) == (0, 0)


@pytest.fixture(scope="module")
def cells():
    generator = np.random.default_rng(1)
    count = 400
    return SolarCells(
        generator.choice([0.0, 1 / 3, 2 / 3, 1.0], count, p=[0.6, 0.1, 0.1, 0.2]),
        generator.integers(0, 2, count),
        generator.normal(size=(count, 3)).astype(np.float32),
        np.arange(count, dtype=np.float32)[:, None],
    )


def test_defects_are_rare_and_doubtful_cells_left_out(cells):
    (pool,) = RareDefects(cells, "none", IMAGES).draw(0)
    rows = pool.judged[:, 0].astype(int)
    assert set(cells.probability[rows]) == {0.0, 1.0}
    for label in (0, 1):
        kinds = pool.kinds[pool.labels == label]
        assert (kinds == COMMON).sum() == IMAGES
        assert (kinds == RARE).sum() == round(RARE_SHARE / (1 - RARE_SHARE) * IMAGES)
    assert not set(rows) & set(pool.held_out[:, 0].astype(int))
    assert set(pool.held_out_kinds) == {COMMON, RARE}


def test_doubtful_cells_are_outliers_and_never_held_out(cells):
    one, two = (DoubtfulLabels(cells, "none", IMAGES).draw(repeat)[0] for repeat in (0, 1))
    rows = one.judged[:, 0].astype(int)
    doubtful = ~np.isin(cells.probability[rows], (0, 1))
    assert np.array_equal(one.kinds == OUTLIER, doubtful)
    assert np.array_equal(one.labels, cells.probability[rows] > 0.5)
    assert np.isin(cells.probability[one.held_out[:, 0].astype(int)], (0, 1)).all()
    assert not np.array_equal(one.judged, two.judged)


def row(method, repeat, coverage, budget=10):
    return Row("s", "e", 40, budget, method, repeat, 0.0, 0.1, coverage, float("nan"))


def test_intervals_are_students_and_differences_paired():
    table = Table(None)
    table.add([row("kappa 1", 0, 0.2), row("kappa 1", 1, 0.4), row("kappa 1", 2, 0.6)])
    table.add([row("kappa 1.2", 0, 0.3), row("kappa 1.2", 1, 0.5), row("kappa 1.2", 2, 0.7)])
    found = {(each.group.method, each.measure): each for each in table.summary()}
    assert ("kappa 1", "rare_coverage") not in found
    plain = found["kappa 1", "coverage"].value
    interval = stats.t.interval(0.95, 2, loc=0.4, scale=0.2 / np.sqrt(3))
    assert (plain.mean - plain.half, plain.mean + plain.half) == pytest.approx(interval)
    paired = found["kappa 1.2", "coverage"].differences
    assert paired["kappa 1"].mean == pytest.approx(0.1)
    assert paired["kappa 1"].half == pytest.approx(0, abs=1e-12)
    assert "random" not in paired
    assert np.isnan(Mean.of([1.0]).half)


def test_rows_on_disk_are_not_computed_again(tmp_path):
    Table(tmp_path).add([row("random", 0, 0.25)])
    again = Table(tmp_path)
    done, other = Choice(10, "random"), Choice(20, "random")
    assert again.missing("s", 40, [done, other, Choice(10, "ccs")], 0) == [other, (10, "ccs")]
    assert again.missing("s", 40, [done], 1) == [done]
    assert again.missing("s", 200, [done], 0) == [done]
    again.add([row("random", 0, 0.5, budget=20)])
    assert [each.coverage for each in Table(tmp_path).rows] == [0.25, 0.5]
    assert len((tmp_path / "summary.csv").read_text().splitlines()) == 1 + 2 * 3
