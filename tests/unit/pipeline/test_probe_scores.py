import numpy as np
import pytest

from otcondense.encoders import ProbeConfig
from otcondense.errors import InputError
from otcondense.store import (
    ClassFeatures,
    FeatureView,
    Store,
    class_file,
    read_class_features,
    with_confidences,
    write_class_features,
)
from pipeline.probe_scores import score_by_probe

NAMES = ["ant", "bee", "cow"]


@pytest.fixture
def store(tmp_path):
    store = Store(str(tmp_path))
    for index, name in enumerate(NAMES):
        write(store, name, index)
    return store


def write(store, name, index, seed=0):
    count = 12 + index
    draws = np.random.default_rng([seed, index]).normal(size=(count, 4)).astype(np.float32)
    draws[:, index % 4] += 3
    features = ClassFeatures(
        class_name=name,
        class_index=2 * index,
        image_ids=[f"{name}/{row:02d}" for row in range(count)],
        features=draws,
        logits=None,
        cross_entropy=None,
        entropy=None,
        max_prob=None,
        width=np.full(count, 8, dtype=np.int32),
        height=np.full(count, 8, dtype=np.int32),
        sha256=[f"{seed}{index}{row:062x}" for row in range(count)],
    )
    write_class_features(store, "features", features, fingerprint="x")


def score(store, names=NAMES, **settings):
    view = FeatureView.of("features")
    return score_by_probe(
        store, view, "scores", names, ProbeConfig(folds=3, **settings), f"{settings}"
    )


def test_features_get_the_confidences_of_their_class(store):
    assert score(store) is False
    for index, name in enumerate(NAMES):
        plain = read_class_features(store, "features", name)
        found = with_confidences(store, plain, "scores")
        assert found.image_ids == plain.image_ids
        assert found.logits.shape == (12 + index, 5)
        log_p = found.logits - np.log(np.exp(found.logits).sum(1, keepdims=True))
        np.testing.assert_allclose(found.cross_entropy, -log_p[:, 2 * index], atol=5e-3)
        assert np.median(found.cross_entropy) < np.log(3) / 2
        assert with_confidences(store, found, None).cross_entropy is None


def test_finished_scores_are_recognised_and_changed_features_scored_again(store):
    score(store)
    before = [store.read_bytes(class_file("scores", name)) for name in NAMES]
    assert score(store) is True
    store.write_bytes(class_file("scores", "bee"), before[1][:-9])
    assert score(store) is False
    assert [store.read_bytes(class_file("scores", name)) for name in NAMES] == before
    write(store, "cow", 2, seed=1)
    assert score(store) is False
    assert [store.read_bytes(class_file("scores", name)) for name in NAMES] != before


def test_missing_features_are_named(store):
    store.remove("features/class_name=bee")
    with pytest.raises(InputError, match=r"is missing or damaged$"):
        score(store)


def test_confidences_of_other_images_are_refused(store):
    score(store)
    write(store, "bee", 5)
    with pytest.raises(
        InputError, match="must hold the 17 images that have features, found 13 others"
    ):
        with_confidences(store, read_class_features(store, "features", "bee"), "scores")
