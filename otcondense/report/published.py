"""Figures that others published on ImageNet-1K, to stand beside a run of the same protocol.

FID of 50,000 samples by ADM's evaluator, guidance 1.5, batches of 128. Sources: GADC (arXiv:2606.05883), D2C (arXiv:2507.05914). GADC's
figures are as public notes on the paper give them: look them up in the paper before you cite them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

UNEQUAL = (
    "Unequal: probably trained without the alignment and text losses that the D2C and GADC rows have. GADC's other table says 4.63 for random "
    "choice at this size."
)
MARKED = "The notes do not explain the mark; probably trained with the losses of the D2C and GADC rows, and then the fair baseline."
UNEQUAL_LIKELY = (
    "Probably trained without the alignment and text losses that the D2C and GADC rows have."
)


@dataclass(frozen=True)
class Published:
    """One row of a published table."""

    model: str
    image_size: int
    num_images: int
    steps: int
    method: str
    values: Mapping[str, float]
    source: str
    caution: str = field(default="")
    """Why it does not compare; empty where nothing speaks against it."""


def _rows() -> Iterator[Published]:
    full = {
        "random (marked)": (4.63, 263.1, 0.70, 0.26),
        "CCS": (5.45, 364.9, 0.77, 0.21),
        "DQ": (4.56, 267.8, 0.72, 0.25),
        "D2C": (4.20, 283.6, 0.72, 0.24),
        "GADC": (3.43, 414.3, 0.78, 0.28),
    }
    for method, (fid, score, precision, recall) in full.items():
        values = {
            "adm_fid": fid,
            "adm_inception_score": score,
            "adm_precision": precision,
            "adm_recall": recall,
        }
        yield Published(
            "DiT-L/2",
            256,
            10_000,
            100_000,
            method,
            values,
            "GADC",
            MARKED if method.startswith("random") else "",
        )
    by_budget = {
        "DiT-L/2": {
            10_000: (35.86, 50.77, 40.75),
            50_000: (36.78, 69.86, 32.38),
            100_000: (41.02, 71.31, 36.37),
        },
        "SiT-L/2": {
            10_000: (4.35, 14.77, 22.96),
            50_000: (31.13, 61.66, 29.11),
            100_000: (36.64, 66.96, 32.30),
        },
    }
    for model, budgets in by_budget.items():
        for budget, figures in budgets.items():
            for method, fid in zip(("random", "k-center", "herding"), figures, strict=True):
                caution = (
                    UNEQUAL
                    if (model, budget, method) == ("DiT-L/2", 10_000, "random")
                    else UNEQUAL_LIKELY
                )
                yield Published(
                    model, 256, budget, 100_000, method, {"adm_fid": fid}, "D2C", caution
                )
    ours = {
        ("DiT-L/2", 50_000): (14.81, 11.01),
        ("DiT-L/2", 100_000): (22.55, 17.09),
        ("SiT-L/2", 10_000): (3.98, None),
        ("SiT-L/2", 50_000): (11.21, 7.26),
        ("SiT-L/2", 100_000): (15.01, 8.83),
    }
    for (model, budget), (d2c, gadc) in ours.items():
        yield Published(model, 256, budget, 100_000, "D2C", {"adm_fid": d2c}, "D2C")
        if gadc is not None:
            yield Published(model, 256, budget, 100_000, "GADC", {"adm_fid": gadc}, "GADC")
    yield Published(
        "DiT-L/2",
        512,
        10_000,
        100_000,
        "random",
        {"adm_fid": 24.8, "adm_inception_score": 74.3, "adm_precision": 0.65},
        "D2C",
        UNEQUAL_LIKELY,
    )
    yield Published(
        "DiT-L/2",
        512,
        10_000,
        100_000,
        "D2C",
        {"adm_fid": 14.8, "adm_inception_score": 109.2, "adm_precision": 0.63},
        "D2C",
    )
    yield Published(
        "DiT-L/2",
        512,
        10_000,
        100_000,
        "GADC",
        {"adm_fid": 6.17, "adm_inception_score": 451.0},
        "GADC",
    )


PUBLISHED: tuple[Published, ...] = tuple(_rows())
"""Every figure that is known, in the order of the tables."""


def published_for(model: str, image_size: int, num_images: int) -> tuple[Published, ...]:
    """Return the rows that a run of this model, size and number of chosen images can be held against."""
    wanted = (model, image_size, num_images)
    return tuple(row for row in PUBLISHED if (row.model, row.image_size, row.num_images) == wanted)
