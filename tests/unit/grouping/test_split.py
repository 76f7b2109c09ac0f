"""Groups of rows: their sizes, on data that k-means finds hard too, and their distances."""

import numpy as np
import pytest
from jaxtyping import Float, Float32, Int
from sklearn.cluster import KMeans

from otcondense.errors import InputError
from otcondense.grouping.balance import SMALLEST_SHARE
from otcondense.grouping.centres import fit_centres
from otcondense.grouping.config import GroupConfig
from otcondense.grouping.split import DEEPEST, Split, split_rows

MOST = 60


def blobs(rng: np.random.Generator) -> Float[np.ndarray, "n d"]:
    shapes = ((500, 1.0), (40, 3.0), (9, 1.0), (200, 0.2), (400, 2.0))
    blobs = [rng.normal(size=(size, 16)) * wide + rng.normal(size=16) * 4 for size, wide in shapes]
    return np.concatenate(blobs)


def blob_and_outliers(rng: np.random.Generator) -> Float[np.ndarray, "n d"]:
    near = rng.normal(size=(900, 4)) * 0.01
    return np.concatenate([near, rng.normal(size=(5, 4)) * 1e4])


def copies_beyond_the_bound(rng: np.random.Generator) -> Float[np.ndarray, "n d"]:
    return np.concatenate([np.full((500, 8), 0.3), rng.normal(size=(300, 8)) + 9])


def few_different(rng: np.random.Generator) -> Float[np.ndarray, "n d"]:
    return rng.normal(size=(7, 3))[rng.integers(0, 7, 1000)]


DATA = {
    "blobs": blobs,
    "all rows equal": lambda _: np.full((700, 5), 0.1),
    "all rows zero": lambda _: np.zeros((700, 5)),
    "two values": lambda _: np.repeat(np.eye(2), [600, 3], axis=0),
    "one dense blob and few outliers": blob_and_outliers,
    "fewer different rows than centres": few_different,
    "copies beyond the bound": copies_beyond_the_bound,
    "powers of ten": lambda _: 10.0 ** np.linspace(-15, 15, 800)[:, None],
    "far from the origin": lambda rng: 1000 + rng.normal(size=(500, 4)),
    "one column": lambda rng: rng.normal(size=(500, 1)),
    "one row too many": lambda rng: rng.normal(size=(MOST + 1, 3)),
}


def rows_of(name: str) -> Float32[np.ndarray, "n d"]:
    return DATA[name](np.random.default_rng(0)).astype(np.float32)


def mean_distance(rows: Float[np.ndarray, "n d"], labels: Int[np.ndarray, " n"]) -> float:
    """The mean distance of a row to the mean of its group."""
    means = np.stack([rows[labels == each].mean(axis=0) for each in range(labels.max() + 1)])
    return float(np.linalg.norm(rows - means[labels], axis=1).mean())


def check_sizes(found: Split, rows: int, most: int) -> None:
    assert len(found.labels) == rows
    assert found.sizes.sum() == rows
    assert found.sizes.max() <= most
    assert found.sizes.min() >= max(1, most // SMALLEST_SHARE)


@pytest.mark.parametrize("resamplings", [0, 2])
@pytest.mark.parametrize("most", [2, MOST])
@pytest.mark.parametrize("name", DATA)
def test_sizes_are_within_the_limits(name: str, most: int, resamplings: int) -> None:
    rows = rows_of(name)[:: 1 if most > 2 else 9]
    found = split_rows(rows, GroupConfig(most=most, resamplings=resamplings))
    check_sizes(found, len(rows), most)
    first = [int(np.flatnonzero(found.labels == each)[0]) for each in range(len(found.sizes))]
    assert first == sorted(first)


@pytest.mark.parametrize("size", [1, 2, MOST - 1, MOST])
def test_few_rows_are_one_group(size: int) -> None:
    found = split_rows(rows_of("blobs")[:size], GroupConfig(most=MOST))
    assert found.labels.tolist() == [0] * size
    assert found.cut == 0


@pytest.mark.parametrize("name", ["blobs", "far from the origin", "normal"])
@pytest.mark.parametrize("seed", [0, 1])
def test_distances_are_those_of_plain_k_means(name: str, seed: int) -> None:
    rows = np.random.default_rng(seed).normal(size=(1500, 24)).astype(np.float32)
    if name != "normal":
        rows = rows_of(name)
    found = split_rows(rows, GroupConfig(most=MOST, seed=seed))
    count = len(found.sizes)
    plain = KMeans(count, n_init=1, random_state=seed).fit(rows.astype(np.float64))
    assert mean_distance(rows, found.labels) <= 1.03 * mean_distance(rows, plain.labels_)


def test_equal_rows_beyond_the_bound_are_cut_in_their_order() -> None:
    rows = rows_of("copies beyond the bound")
    found = split_rows(rows, GroupConfig(most=MOST))
    equal = found.labels[:500]
    assert (np.diff(equal) >= 0).all()
    assert not set(equal) & set(found.labels[500:])
    assert found.cut == 500
    assert split_rows(rows_of("blobs"), GroupConfig(most=MOST)).cut == 0


def test_the_result_depends_on_rows_and_seed_alone() -> None:
    rows = rows_of("blobs")
    found = [split_rows(rows, GroupConfig(most=MOST, seed=seed)).labels for seed in (0, 0, 1)]
    assert np.array_equal(found[0], found[1])
    assert not np.array_equal(found[0], found[2])


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_resampled_centres_follow_the_density_less(seed: int) -> None:
    rng = np.random.default_rng(seed)
    dense = rng.normal(size=(4000, 2)) * 0.5
    rows = np.concatenate([dense, rng.uniform(-6, 6, (1000, 2))]).astype(np.float32)
    outside = []
    for resamplings in (0, 5):
        centres = fit_centres(rows, 60, seed, resamplings)
        outside.append(int((np.linalg.norm(centres, axis=1) > 2).sum()))
    assert outside[1] > 1.1 * outside[0]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (np.zeros((0, 3)), "rows and columns"),
        (np.zeros((3, 0)), "rows and columns"),
        (np.array([[1.0], [np.nan], [np.inf]]), "in row 1 and 1 more"),
    ],
)
def test_rows_that_cannot_be_grouped_are_refused(rows: np.ndarray, said: str) -> None:
    with pytest.raises(InputError, match=said):
        split_rows(rows.astype(np.float32), GroupConfig(most=2))


def test_levels_within_the_memory_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("otcondense.grouping.split.DEEPEST", 0)
    assert DEEPEST > 0
    found = split_rows(rows_of("blobs"), GroupConfig(most=MOST))
    check_sizes(found, len(rows_of("blobs")), MOST)
