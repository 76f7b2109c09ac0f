"""Budgets of a class: a number of images, or a share of it."""

from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from numbers import Integral, Real

Budget = int | str
"""A number of images, or a share such as "1%"."""


def images_or_share(budget: object) -> int | Decimal | None:
    """Return the number of images, >= 1, or the share of the class, up to 1, that a budget means.

    A whole number counts images. A number between 0 and 1, or a text such as "1%", is a share.

    Returns: None if the budget is neither.
    """
    if isinstance(budget, str):
        return _percentage(budget)
    # NumPy's numbers are such too; status does not load NumPy.
    if isinstance(budget, Real) and 0 < float(budget) < 1:
        return Decimal(repr(float(budget)))
    if not isinstance(budget, Integral) or isinstance(budget, bool) or budget < 1:
        return None
    return int(budget)


def as_text(budget: object) -> object:
    """Return a share such as 0.01 as the text "1%", so that it has one name; others unchanged."""
    share = images_or_share(budget)
    if isinstance(budget, str) or not isinstance(share, Decimal):
        return budget
    return f"{(share * 100).normalize():f}%"


def _percentage(text: str) -> Decimal | None:
    """Return a percentage above 0 and up to 100 as a share; None if the text is none."""
    if not text.strip().endswith("%"):
        return None
    try:
        percent = Decimal(text.strip().removesuffix("%"))
    except InvalidOperation:
        return None
    return percent / 100 if percent.is_finite() and 0 < percent <= 100 else None


def images_in(share: Decimal, size: int) -> int:
    """Return a share of a class in images: the nearest number, halves up, at least 1."""
    images = (share * size).quantize(Decimal(1), ROUND_HALF_UP)
    return min(size, max(1, int(images)))
