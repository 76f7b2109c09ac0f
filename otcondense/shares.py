"""Shares in words, the same in every table, page and report: 3 %, 8.4 %."""

import math

SMALL_GAP = 0.01
"""Gaps below this share get a second digit after the point: 0.04 % is not 0.1 %."""
NOISE_DIGITS = 3
"""Digits of the last shown one that count: rounding errors do not make 5.1 % of 5 %."""


def percent(share: float, digits: int = 1) -> str:
    """Return a share as a percentage, such as 3.4 %.

    Args:
        share: 1 for all.
        digits: after the point.
    """
    return f"{100 * share:.{digits}f} %"


def gap_text(share: float) -> str:
    """Return a gap, a proven bound, as a percentage of the objective, such as 8.4 % or 0.04 %.

    It is rounded up: what is proven stays true. `percent.js` of the page does the same.

    Args:
        share: of the objective, finite.
    """
    share = max(0.0, share)  # rounding errors can put the bound above the objective
    digits = 1 if share >= SMALL_GAP else 2
    scale = 100 * 10**digits
    return percent(math.ceil(round(share * scale, NOISE_DIGITS)) / scale, digits)
