"""A fitted selector as a piece of HTML for notebooks."""

import base64
import html
import math
from collections.abc import Sequence
from pathlib import Path

from otcondense.shares import gap_text

MOST_PICTURES = 60
"""Thumbnails in a piece: about 300 kB."""
SIDE = 96
"""Largest side of a thumbnail in pixels."""
MAX_BYTES = 64 << 20
"""Larger files are not read."""
MAX_PIXELS = 100_000_000
"""Images with more pixels are not decoded."""


def as_html(call: str, facts: Sequence[tuple[str, str]], files: Sequence[str]) -> str:
    """Return HTML; everything is escaped.

    Args:
        call: the constructor call.
        facts: names and values, as texts.
        files: image files of the chosen images, in order of choice.
    """
    rows = [f"<tr><th>{html.escape(a)}</th><td>{html.escape(b)}</td></tr>" for a, b in facts]
    table = f"<table><tbody>{''.join(rows)}</tbody></table>" if rows else ""
    pictures = "".join(_picture(file) for file in files[:MOST_PICTURES])
    more = len(files) - MOST_PICTURES
    rest = f"<p>and {more:,} more</p>" if more > 0 else ""
    page = f"<div><code>{html.escape(call)}</code>{table}<div>{pictures}</div>{rest}</div>"
    # A name that is not UTF-8 has surrogates, which no page can hold.
    return page.encode(errors="backslashreplace").decode()


def facts_of(
    chosen: int, size: int, objective: float, gap: float, left_out: int
) -> list[tuple[str, str]]:
    """Return the facts of a fitted selector; what is unknown is left out."""
    facts = [("chosen", f"{chosen:,} of {size:,} images")]
    if math.isfinite(objective):
        facts.append(("objective", f"{objective:.6g}"))
    if math.isfinite(gap):
        facts.append(("gap", f"{gap_text(gap)} of the objective at most"))
    facts.append(("left out", f"{left_out:,}"))
    return facts


def _picture(file: str) -> str:
    """Return a thumbnail with the name of its file, or the name alone if it cannot be read."""
    name = html.escape(file, quote=True)
    data = _thumbnail(file)
    if data is None:
        return f'<span title="{name}">{html.escape(Path(file).name)} (not readable)</span> '
    return f'<img src="{data}" alt="{name}" title="{name}" style="margin:2px">'


def _thumbnail(file: str) -> str | None:
    try:
        from otcondense.datasets.thumbnails import media_type, thumbnail
        from otcondense.datasets.unreadable import UnreadableImageError
    except ImportError:  # Pillow comes with the extra `workflow`
        return None
    place = Path(file)
    try:
        if not place.is_file() or place.stat().st_size > MAX_BYTES:
            return None
        picture = thumbnail(place.read_bytes(), side=SIDE, max_pixels=MAX_PIXELS)
    except (OSError, ValueError, UnreadableImageError):
        return None
    return f"data:{media_type(picture)};base64,{base64.b64encode(picture).decode()}"
