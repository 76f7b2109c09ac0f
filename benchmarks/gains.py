"""The part of a selection's time that goes into the gains of its images.

`python -m benchmarks.gains [--quick]`
"""

import argparse
import time

from benchmarks.harness import finish
from benchmarks.synthetic import synthetic_class
from otcondense.selection import GeometryAwareSelector

IMAGES, WIDTH = 1300, 384
"""A class of ImageNet's size, with the features of a small vision transformer."""
BUDGETS = (10, 50, 100)
MOST = 0.05
"""Upper limit on the part: gains describe a selection, and do not change it."""


def gain_share(images: int, budget: int) -> float:
    """Return the seconds of the gains as a share of those of the whole selection."""
    data = synthetic_class(images, WIDTH, seed=0)
    selector = GeometryAwareSelector(budget, lower_bound=None)
    start = time.perf_counter()
    selector.fit(data.features, cross_entropy=data.cross_entropy)
    share = selector.profile_["gain_s"] / (time.perf_counter() - start)
    print(f"K={budget}: {100 * share:.2f} % of the time", flush=True)
    return share


def main() -> None:
    """Measure each budget."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a small class, in seconds")
    images = 300 if parser.parse_args().quick else IMAGES
    gain_share(100, 2)  # imports
    figures = {f"gain_share_k{budget}": gain_share(images, budget) for budget in BUDGETS}
    if not finish("gains", figures, {name: {"at_most": MOST} for name in figures}):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
