"""Measure what selections are worth: accuracy of a linear probe that is trained on them alone.

    python examples/probe.py texts.npz --budgets 5 10 20

The file holds `features` and `labels`, of anything. A part of the rows is held out. For each
budget and method a logistic regression is trained on the chosen rows, and measured on the
held-out ones; random draws show the noise, and the probe of all rows shows the limit.
"""

import argparse
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from otcondense.selection import SELECTORS, ClassSelector

METHODS = ("geometry_aware", "k_medoids", "k_means", "herding", "k_center")
DRAWS = 20
"""Random draws for each budget."""
HELD_OUT = 0.25
"""Share of the rows that measures the probes."""

Rows = Int[np.ndarray, " k"]


def main() -> None:
    """Print the accuracy of each method and budget as a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("features", type=Path, help="file of `features` and `labels`, NAME.npz")
    parser.add_argument("--budgets", type=int, nargs="+", default=[5, 10, 20])
    options = parser.parse_args()
    with np.load(options.features) as stored:
        features, labels = stored["features"].astype(np.float64), stored["labels"]
    parts = train_test_split(features, labels, test_size=HELD_OUT, random_state=0, stratify=labels)
    probe = Probe(*parts)
    print("| a class | " + " | ".join(METHODS) + " | random (sd) |")
    print("|---" * (len(METHODS) + 2) + "|")
    for budget in options.budgets:
        cells = [f"{probe.accuracy(chosen(probe, method, budget)):.3f}" for method in METHODS]
        drawn = [
            probe.accuracy(chosen(probe, "random", budget, seed=seed)) for seed in range(DRAWS)
        ]
        cells.append(f"{np.mean(drawn):.3f} ({np.std(drawn, ddof=1):.3f})")
        print(f"| {budget} | " + " | ".join(cells) + " |", flush=True)
    everything = np.arange(len(probe.labels))
    print(f"all {len(everything)} rows: {probe.accuracy(everything):.3f}")


class Probe:
    """A logistic regression on some rows of a training part."""

    def __init__(
        self,
        features: Float[np.ndarray, "n d"],
        held_out: Float[np.ndarray, "m d"],
        labels: np.ndarray,
        held_out_labels: np.ndarray,
    ) -> None:
        self.features, self.labels = features, labels
        self._held_out, self._held_out_labels = held_out, held_out_labels

    def accuracy(self, rows: Rows) -> float:
        """Return the accuracy on the held-out rows of a probe that is trained on `rows`."""
        made = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
        made.fit(self.features[rows], self.labels[rows])
        return float(made.score(self._held_out, self._held_out_labels))


def chosen(probe: Probe, method: str, budget: int, seed: int = 0) -> Rows:
    """Return the rows that a method chooses, `budget` of each class."""
    selector = SELECTORS[method](budget=budget, seed=seed)
    if method == "geometry_aware":
        selector.set_params(lower_bound=None)
    found: Rows = ClassSelector(selector).fit(probe.features, probe.labels).indices_
    return found


if __name__ == "__main__":
    main()
