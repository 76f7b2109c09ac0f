"""Swaps in groups under the statistics of the whole class, for arrays (`polishing`)."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from jaxtyping import Float, Int

from otcondense.selection.candidates import Candidates, validate_candidates
from otcondense.selection.geometry_aware_config import GeometryAwareConfig
from otcondense.selection.polishing import GroupToPolish, polish_groups


@dataclass(frozen=True)
class PolishConfig:
    """The objective of the swaps, in the terms of `GeometryAwareSelector`."""

    kappa: float = 1.05
    alpha: float = 1.0
    epsilon_relative: float = 0.05


def polish(
    features: Float[np.ndarray, "n d"],
    groups: Sequence[Int[np.ndarray, " _"]],
    chosen: Sequence[Int[np.ndarray, " _"]],
    config: PolishConfig | None = None,
) -> list[Int[np.ndarray, " _"]]:
    """Return the chosen images of each group after swaps; their numbers stay.

    The result depends on the arguments only. Groups that are chosen whole have nothing to swap.

    Args:
        features: of the whole class [n, d].
        groups: rows of each group; together all rows, each once.
        chosen: rows of the chosen images of each group, at least one each.
        config: the objective; None is the selector's default.

    Returns: rows of the chosen images of each group.
    """
    config = config or PolishConfig()
    objective = GeometryAwareConfig(
        kappa=config.kappa, alpha=config.alpha, epsilon_relative=config.epsilon_relative
    )
    found = []
    for rows, mine in zip(groups, chosen, strict=True):
        places = {row: place for place, row in enumerate(rows.tolist())}
        start = tuple(places[row] for row in mine.tolist())
        load = partial(_candidates, features, rows)
        found.append(GroupToPolish(load, objective, start))
    done = polish_groups(found)
    return [rows[np.array(places)] for rows, places in zip(groups, done.chosen, strict=True)]


def _candidates(features: Float[np.ndarray, "n d"], rows: Int[np.ndarray, " g"]) -> Candidates:
    return validate_candidates(features[rows])
