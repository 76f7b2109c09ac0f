"""What is said of a path where something else is expected, the same in every message."""

import os

from otcondense.near_names import near_path, visible_names
from otcondense.reading import with_home


def found_at(path: str, otherwise: str) -> str:
    """Return what is at a path where something else is expected, as the end of a message.

    Args:
        path: of this machine, or a URI, which is not looked at.
        otherwise: what to say of a folder that has something in it, and of a URI.
    """
    place = with_home(path)
    if "://" in path:
        return f"found {otherwise}"
    if not os.path.lexists(place):
        return f"but it does not exist{near_path(place)}"
    if not place.is_dir():
        return f"found {otherwise}: it is no folder"
    return f"found {otherwise}" if visible_names(place) else "found an empty folder"
