"""Lists a folder whose images are all of one class, also those in folders below."""

import numpy as np

from otcondense.counts import counted
from otcondense.datasets.building import build_listing
from otcondense.datasets.caption_files import FolderCaptions
from otcondense.datasets.files import list_tree
from otcondense.datasets.ids import check_relative_paths
from otcondense.datasets.listing import Listing
from otcondense.datasets.named_files import folder_name
from otcondense.datasets.names import check_class_name
from otcondense.datasets.parts import Faulty, Labels, Part, sorted_texts, texts
from otcondense.datasets.records import SourceConfig
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
    name = folder_name(source)
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
    captions = FolderCaptions.of(source, tree)
    ignored = sorted_texts([captions.without_own(tree.paths(~is_image)), links])
    return build_listing(source, [captions.attach(part)], (name,), ignored, tree.root)
