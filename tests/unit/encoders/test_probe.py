import numpy as np
import pytest
import torch
from scipy.special import log_softmax
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from otcondense.encoders.probe import ProbeConfig, assign_folds, cross_fitted_logits, fit_softmax
from otcondense.errors import InputError

CONFIG = ProbeConfig(folds=3)


@pytest.fixture(scope="module")
def digits():
    data = load_digits()
    chosen = np.flatnonzero(data.target < 4)[:400]
    return data.data[chosen].astype(np.float32), data.target[chosen].astype(np.int64)


def names(count):
    return [f"{number:064x}" for number in range(count)]


def cross_entropy(logits, labels):
    return -log_softmax(logits.astype(np.float64), axis=1)[np.arange(len(labels)), labels]


def test_the_fit_is_scikit_learns(digits):
    features, labels = digits
    inputs = np.concatenate([features / 16, np.ones((len(labels), 1))], axis=1).astype(np.float64)
    ours = fit_softmax(torch.from_numpy(inputs), torch.from_numpy(labels), 4, CONFIG)
    reference = LogisticRegression(
        C=1 / (len(labels) * CONFIG.l2), fit_intercept=False, tol=1e-8, max_iter=2000
    ).fit(inputs, labels)
    np.testing.assert_allclose(ours.numpy().T, reference.coef_, atol=2e-3)


def test_each_image_is_judged_by_a_probe_that_never_saw_it(digits):
    """Wrong labels are learnt by a probe that sees them, and stand out for one that does not."""
    features, labels = digits
    wrong = labels.copy()
    wrong[:20] = (labels[:20] + 1) % 4
    logits = cross_fitted_logits(features, wrong, assign_folds(names(400), wrong, 3), CONFIG)
    spread = cross_entropy(logits, wrong)
    assert (logits.argmax(1) == labels).mean() > 0.95
    assert np.median(spread[:20]) > 20 * np.median(spread[20:])


def test_order_and_threads_do_not_change_a_fold_or_a_bit(digits):
    features, labels = digits
    fold = assign_folds(names(400), labels, 3)
    order = np.random.default_rng(0).permutation(400)
    assert (assign_folds([names(400)[row] for row in order], labels[order], 3) == fold[order]).all()
    first = cross_fitted_logits(features, labels, fold, CONFIG)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    assert (cross_fitted_logits(features, labels, fold, CONFIG) == first).all()
    assert torch.get_num_threads() == 2
    torch.set_num_threads(before)


def test_folds_are_balanced_within_classes_and_keep_copies_together():
    labels = np.repeat([0, 1, 2], [10, 10, 4])
    content = names(24)
    content[3] = content[7] = content[15]
    fold = assign_folds(content, labels, 5)
    assert fold[3] == fold[7] == fold[15]
    assert all(np.bincount(fold[labels == label], minlength=5).max() <= 4 for label in range(3))
    assert set(fold) == set(range(5))


def test_a_class_of_one_image_is_finite_and_hard(digits):
    features, labels = digits
    lonely = np.append(labels[:100], 5)
    logits = cross_fitted_logits(
        features[:101], lonely, assign_folds(names(101), lonely, 3), CONFIG
    )
    assert logits.shape == (101, 6)
    assert np.isfinite(logits).all()
    assert cross_entropy(logits, lonely)[-1] > 2


@pytest.mark.parametrize(
    ("labels", "content", "message"),
    [([0] * 6, names(6), "at least two classes"), ([0, 1], ["a", "a"], "copies of one image")],
)
def test_what_cannot_be_fitted_is_said(labels, content, message):
    labels = np.array(labels)
    with pytest.raises(InputError, match=message):
        cross_fitted_logits(
            np.ones((len(labels), 2), dtype=np.float32),
            labels,
            assign_folds(content, labels, 3),
            CONFIG,
        )
