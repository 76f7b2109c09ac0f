"""Published figures on ImageNet-1K, to compare with a run of the same protocol.

FID of 50,000 samples by ADM's evaluator, guidance 1.5, batches of 128. Sources: GADC
(arXiv:2606.05883), D2C (arXiv:2507.05914). The figures of GADC are from public notes on the paper:
look them up in the paper before you cite them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

UNEQUAL_LIKELY = "Probably trained without the alignment and text losses of the D2C and GADC rows."
UNEQUAL = (
    "Not comparable: probably trained without the alignment and text losses of the D2C and GADC "
    "rows. The other table of GADC says 4.63 for random choice at this size."
)
MARKED = (
    "The notes do not explain the mark; probably trained with the losses of the D2C and GADC rows, "
    "which makes it the fair baseline."
)
STEPS = 100_000
"""Training steps of all figures."""
FULL_COLUMNS = ("adm_fid", "adm_inception_score", "adm_precision", "adm_recall")
FULL_TABLE = {
    "random (marked)": (4.63, 263.1, 0.70, 0.26),
    "CCS": (5.45, 364.9, 0.77, 0.21),
    "DQ": (4.56, 267.8, 0.72, 0.25),
    "D2C": (4.20, 283.6, 0.72, 0.24),
    "GADC": (3.43, 414.3, 0.78, 0.28),
}
"""GADC's table of methods: DiT-L/2, 256 pixels, 10,000 images."""
BASELINES = {
    ("DiT-L/2", 10_000): {"random": 35.86, "k-center": 50.77, "herding": 40.75},
    ("DiT-L/2", 50_000): {"random": 36.78, "k-center": 69.86, "herding": 32.38},
    ("DiT-L/2", 100_000): {"random": 41.02, "k-center": 71.31, "herding": 36.37},
    ("SiT-L/2", 10_000): {"random": 4.35, "k-center": 14.77, "herding": 22.96},
    ("SiT-L/2", 50_000): {"random": 31.13, "k-center": 61.66, "herding": 29.11},
    ("SiT-L/2", 100_000): {"random": 36.64, "k-center": 66.96, "herding": 32.30},
}
"""FID of D2C's baselines at 256 pixels, by model and number of images."""
PROPOSED = {
    ("DiT-L/2", 50_000): {"D2C": 14.81, "GADC": 11.01},
    ("DiT-L/2", 100_000): {"D2C": 22.55, "GADC": 17.09},
    ("SiT-L/2", 10_000): {"D2C": 3.98},
    ("SiT-L/2", 50_000): {"D2C": 11.21, "GADC": 7.26},
    ("SiT-L/2", 100_000): {"D2C": 15.01, "GADC": 8.83},
}
"""FID of the papers' own methods at 256 pixels, by model and number of images."""
LARGE_IMAGES = {
    "random": {"adm_fid": 24.8, "adm_inception_score": 74.3, "adm_precision": 0.65},
    "D2C": {"adm_fid": 14.8, "adm_inception_score": 109.2, "adm_precision": 0.63},
    "GADC": {"adm_fid": 6.17, "adm_inception_score": 451.0},
}
"""DiT-L/2, 512 pixels, 10,000 images."""


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
    caution: str = ""
    """Why it is not comparable; empty if nothing speaks against it."""


def _rows() -> Iterator[Published]:
    for method, figures in FULL_TABLE.items():
        values = dict(zip(FULL_COLUMNS, figures, strict=True))
        caution = MARKED if method.startswith("random") else ""
        yield Published("DiT-L/2", 256, 10_000, STEPS, method, values, "GADC", caution)

    for (model, budget), fids in BASELINES.items():
        for method, fid in fids.items():
            is_unequal = (model, budget, method) == ("DiT-L/2", 10_000, "random")
            caution = UNEQUAL if is_unequal else UNEQUAL_LIKELY
            yield Published(model, 256, budget, STEPS, method, {"adm_fid": fid}, "D2C", caution)

    for (model, budget), fids in PROPOSED.items():
        for method, fid in fids.items():
            yield Published(model, 256, budget, STEPS, method, {"adm_fid": fid}, method)

    for method, large in LARGE_IMAGES.items():
        source = "GADC" if method == "GADC" else "D2C"
        caution = UNEQUAL_LIKELY if method == "random" else ""
        yield Published("DiT-L/2", 512, 10_000, STEPS, method, large, source, caution)


PUBLISHED: tuple[Published, ...] = tuple(_rows())
"""All known figures, in the order of the tables."""


def published_for(model: str, image_size: int, num_images: int) -> tuple[Published, ...]:
    """Return the rows for a run of this model, size and number of chosen images."""
    wanted = (model, image_size, num_images)
    return tuple(row for row in PUBLISHED if (row.model, row.image_size, row.num_images) == wanted)
