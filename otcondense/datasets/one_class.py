"""Lists a folder whose images are all of one class, also those in folders below."""

from pathlib import Path

import numpy as np

from otcondense.counts import counted
from otcondense.datasets.building import build_listing
from otcondense.datasets.files import list_tree
from otcondense.datasets.ids import check_relative_paths
from otcondense.datasets.listing import Listing
from otcondense.datasets.names import check_class_name
from otcondense.datasets.parts import Faulty, Labels, Part, sorted_texts, texts
from otcondense.datasets.records import SourceConfig, is_remote, resolved
from otcondense.datasets.suffixes import IMAGE_SUFFIXES, UNREAD_SUFFIXES, unread_suffix
from otcondense.errors import InputError


def scan_one_class(source: SourceConfig) -> Listing:
    """Return the images below `source.path`; their class has the name of the folder.

    Raises: InputError for a missing root, a folder without images, a link that leaves the root, or
        a name that a later stage could not use.
    """
    tree = list_tree(source)
    is_image = tree.are(IMAGE_SUFFIXES | UNREAD_SUFFIXES)
    if not is_image.any():
        raise InputError(
            f"{source.path} must hold images ({' '.join(sorted(IMAGE_SUFFIXES))}), found "
            f"{counted(len(tree), 'other file')}"
        )
    name = class_name(source.path)
    check_class_name(name, source.path)
    ids = tree.paths(is_image)
    check_relative_paths(ids, source.path)
    faulty = Faulty()
    for row in np.flatnonzero(tree.are(UNREAD_SUFFIXES)[is_image]).tolist():
        faulty.add(row, unread_suffix(f".{ids[row].as_py().rpartition('.')[2].lower()}"))
    part = Part(
        ids=ids,
        labels=Labels.same(name, len(ids)),
        size_bytes=tree.size_bytes[is_image],
        mtime_ns=tree.mtime_ns[is_image],
        faulty=faulty,
    )
    links = texts(link.name for link in tree.links)
    ignored = sorted_texts([tree.paths(~is_image), links])
    return build_listing(source, [part], (name,), ignored, tree.root)


def class_name(path: str) -> str:
    """Return the name of the one class: that of the folder."""
    return path.rstrip("/").rpartition("/")[2] if is_remote(path) else resolved(Path(path)).name
