"""Budgets of a class: a number of images, or a share of it."""

from decimal import ROUND_HALF_UP, Decimal, InvalidOperation

Budget = int | str
"""A number of images, or a share such as "1%"."""


def share_of(text: str) -> Decimal | None:
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
