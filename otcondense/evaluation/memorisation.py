"""Finer tests for copying than the copy share: near copies, authenticity, and a two-sample test.

No single metric tells memorisation from underfitting: read them together with the copy share and
the images.
"""

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from otcondense.evaluation.checks import ArrayOrTensor, as_feature_pair, as_features
from otcondense.evaluation.distances import knn_squared_radii, tie_slack
from otcondense.evaluation.neighbours import nearest_neighbours

LEAST_CHOSEN = 2
"""Chosen images that near copies and authenticity need: both look at the second nearest one."""
LEAST_PER_CELL = 20
"""Samples that a cell of the copying test needs."""


def near_copy_share(samples: ArrayOrTensor, training: ArrayOrTensor, ratio: float = 1 / 3) -> float:
    """Return the share of samples with a nearest chosen image that is much nearer than the second.

    Much nearer means: less than `ratio` times as far away.

    Args:
        samples: [n, d] features.
        training: [m, d] features of the chosen images, m >= 2.
        ratio: in (0, 1).

    Raises: InputError for invalid features.
    Source: Yoon et al. 2023 (Diffusion probabilistic models generalize when they fail to
        memorize), section 3.
    """
    distances = nearest_neighbours(samples, training, 2).distances
    return float((distances[:, 0] < ratio * distances[:, 1]).double().mean())


def authenticity(samples: ArrayOrTensor, training: ArrayOrTensor) -> float:
    """Return the share of authentic samples.

    A sample is authentic if another chosen image is at least as near to its nearest chosen image as
    the sample is. Copies are never authentic. About half of all independent samples of the training
    distribution are authentic.

    Args:
        samples: [n, d] features.
        training: [m, d] features of the chosen images, m >= 2.

    Raises: InputError for invalid features.
    Source: Alaa et al. 2022 (arXiv:2102.08921), section 4.2.
    """
    chosen = as_features("the chosen images", training, LEAST_CHOSEN)
    rows, chosen = as_feature_pair(("the samples", samples), ("the chosen images", chosen))

    nearest = nearest_neighbours(rows, chosen)
    own = knn_squared_radii(chosen, 1)[nearest.indices[:, 0]]
    limit = nearest.distances[:, 0].square() + tie_slack(chosen, rows)
    return float((own <= limit).double().mean())


def near_duplicates(
    subset: ArrayOrTensor, held_out: ArrayOrTensor, ratio: float = 0.1
) -> tuple[float, float]:
    """Return the shares of chosen images with a near duplicate among chosen and held-out images.

    A near duplicate is nearer than `ratio` times the median distance of held-out images to their
    nearest other held-out image.

    Args:
        subset: [n, d] features of the chosen images, n >= 2.
        held_out: [m, d] features of images of the same kind, m >= 2; near duplicates among them are
            leakage.
        ratio: in (0, 1).

    Raises: InputError for invalid features.
    """
    chosen, unseen = as_feature_pair(("the subset", subset), ("the held-out images", held_out), 2)

    limit = ratio**2 * float(knn_squared_radii(unseen, 1).median()) + tie_slack(unseen, chosen)
    own = knn_squared_radii(chosen, 1)
    across = nearest_neighbours(chosen, unseen).distances[:, 0].square()
    return float((own <= limit).double().mean()), float((across <= limit).double().mean())


def copying_test(
    samples: ArrayOrTensor,
    training: ArrayOrTensor,
    held_out: ArrayOrTensor,
    cells: int = 1,
    seed: int = 0,
) -> float:
    r"""Return $C_T$: how much farther samples are from the chosen images than held-out images are.

    The unit is a standard error; values far below 0 mean copying. In each cell of the chosen
    images, the Mann-Whitney test compares the distances of samples and of held-out images to their
    nearest chosen image. The mean over cells weights each cell by its held-out images.

    Args:
        samples: [n, d] features.
        training: [m, d] features of the chosen images.
        held_out: [l, d] features of images that were neither chosen nor trained on.
        cells: k-means cells of the chosen images; cells with fewer than 20 samples or no held-out
            image are skipped.
        seed: seed of k-means.

    Raises: InputError for invalid features.
    Returns: nan if all cells are skipped.
    Source: Meehan et al. 2020 (arXiv:2004.05675), equations 2-4.
    """
    rows, chosen = as_feature_pair(("the samples", samples), ("the chosen images", training))
    unseen, chosen = as_feature_pair(
        ("the held-out images", held_out), ("the chosen images", chosen)
    )
    labels = _cells(chosen, min(cells, len(chosen)), seed)
    of_samples = nearest_neighbours(rows, chosen)
    of_unseen = nearest_neighbours(unseen, chosen)

    scores = []
    weights = []
    for cell in range(cells):
        near = of_samples.distances[:, 0][labels[of_samples.indices[:, 0]] == cell]
        far = of_unseen.distances[:, 0][labels[of_unseen.indices[:, 0]] == cell]
        if len(near) >= LEAST_PER_CELL and len(far):
            scores.append(_rank_sum_score(near, far))
            weights.append(len(far))
    return float(np.average(scores, weights=weights)) if scores else float("nan")


def _cells(chosen: Float[Tensor, "m d"], count: int, seed: int) -> Int[Tensor, " m"]:
    if count == 1:
        return torch.zeros(len(chosen), dtype=torch.int64, device=chosen.device)
    from sklearn.cluster import KMeans

    fitted = KMeans(count, n_init=1, random_state=seed).fit(chosen.double().cpu().numpy())
    return torch.from_numpy(fitted.labels_.astype(np.int64)).to(chosen.device)


def _rank_sum_score(first: Float[Tensor, " n"], second: Float[Tensor, " m"]) -> float:
    """Return the z-score of the Mann-Whitney statistic: positive if `first` is larger."""
    from scipy.stats import rankdata

    n = len(first)
    m = len(second)
    ranks = rankdata(np.concatenate([first.cpu().numpy(), second.cpu().numpy()]))
    larger = float(ranks[:n].sum()) - n * (n + 1) / 2
    return float((larger - n * m / 2) / np.sqrt(n * m * (n + m + 1) / 12))
