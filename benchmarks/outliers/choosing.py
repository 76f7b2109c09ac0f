"""The methods, and what is measured of their choice."""

from typing import Any

import numpy as np
import torch
from jaxtyping import Int

from benchmarks.outliers.pools import OUTLIER, RARE, Pool
from otcondense.encoders import cross_entropy
from otcondense.evaluation import density_coverage
from otcondense.selection import SELECTORS

KAPPAS = (1.0, 1.05, 1.1, 1.2, 1.5)
KAPPAS_ALONE = (1.0, 1.05, 1.2, 1.5)
"""The same without confidences: only partial transport can then leave outliers out."""
Settings = dict[str, Any]
"""Keyword arguments of a selector."""
FAST: Settings = {"lower_bound": None, "rebuilds": 0}
"""The bound does not change the choice. Rebuilds take most of the time and lower the objective by
0.1 % in the median."""
OTHERS = (
    "random",
    "herding",
    "k_center",
    "ccs",
    "dq",
    "k_means",
    "k_medoids",
    "nearest_mean",
    "gaussian_density",
    "uniprot",
    "zcore",
    "subzerocore",
)
METHODS: dict[str, tuple[str, Settings]] = {
    **{f"kappa {kappa:g}": ("geometry_aware", {"kappa": kappa, **FAST}) for kappa in KAPPAS},
    **{
        f"kappa {kappa:g}, beta 0": ("geometry_aware", {"kappa": kappa, "beta": 0, **FAST})
        for kappa in KAPPAS_ALONE
    },
    **{method: (method, {}) for method in OTHERS},
}
"""Selector and parameters by the name in the table."""
MEASURES = ("outliers", "rare", "coverage", "rare_coverage")
NEIGHBOURS = 3
"""Nearest neighbours of the coverage."""


def choose(name: str, budget: int, repeat: int, pool: Pool) -> Int[np.ndarray, " k"]:
    """Return the rows that a method chooses from all classes."""
    method, settings = METHODS[name]
    losses = cross_entropy(torch.from_numpy(pool.logits), torch.from_numpy(pool.labels)).numpy()
    chosen = []
    for label in np.unique(pool.labels):
        rows = np.flatnonzero(pool.labels == label)
        seed = int(label) + 1000 * repeat
        selector = SELECTORS[method](budget=budget, seed=seed, **settings)
        selector.fit(
            pool.features[rows],
            cross_entropy=losses[rows],
            logits=pool.logits[rows],
            difficulty=pool.margins[rows],
        )
        chosen.append(rows[selector.indices_])
    return np.concatenate(chosen)


def measure(rows: Int[np.ndarray, " k"], pool: Pool) -> dict[str, float]:
    """Return the `MEASURES` of a choice.

    Returns: `outliers` and `rare`, the shares of the chosen images; `coverage`, of the held-out
        images; `rare_coverage`, of the rare ones among them, by their own balls (nan without any).
    """
    kinds = pool.kinds[rows]
    is_rare = pool.held_out_kinds == RARE
    rare_coverage = float("nan")
    if is_rare.any():
        rare_coverage = _coverage(pool.judged[rows], pool.held_out[is_rare])
    return {
        "outliers": float((kinds == OUTLIER).mean()),
        "rare": float((kinds == RARE).mean()),
        "coverage": _coverage(pool.judged[rows], pool.held_out),
        "rare_coverage": rare_coverage,
    }


def _coverage(chosen: np.ndarray, held_out: np.ndarray) -> float:
    return density_coverage(chosen, held_out, NEIGHBOURS).coverage
