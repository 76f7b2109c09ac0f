"""The files that hold the images of a source, local or remote."""

import hashlib
from pathlib import Path

import pyarrow as pa

from otcondense.datasets.access import file_system, reachable
from otcondense.datasets.kinds import SOURCES
from otcondense.datasets.local_trees import local_tree
from otcondense.datasets.parts import Texts, sorted_texts
from otcondense.datasets.records import SourceConfig, is_remote, resolved
from otcondense.datasets.remote_trees import remote_file, remote_tree
from otcondense.datasets.trees import SourceFile, Tree
from otcondense.errors import InputError

__all__ = ["SourceFile", "container_files", "list_tree", "source_state"]


def list_tree(source: SourceConfig) -> Tree:
    """Return all files below the root.

    Raises: InputError if the root is missing, a link leaves it, or a name is not valid text.
    """
    if is_remote(source.path):
        return remote_tree(source)
    root = resolved(Path(source.path))
    if not root.is_dir():
        found = "a file" if root.exists() else "nothing"
        raise InputError(
            f"the image source {source.path} must be a folder {SOURCES[source.kind].folder}, "
            f"found {found} there"
        )
    return local_tree(source, root)


def container_files(source: SourceConfig, suffix: str) -> tuple[list[SourceFile], Texts]:
    """Return the files that hold the images, sorted by name, and the names of all other files.

    `source.path` is one such file or a folder of them.

    Raises: InputError as `list_tree` does, if there is no such file, or one of them is a link that
        leads nowhere.
    """
    if source.path.lower().endswith(suffix) and _is_file(source.path):
        return [_single_file(source.path)], sorted_texts([])
    tree = list_tree(source)
    _refuse_links(tree, suffix)
    wanted: list[SourceFile] = []
    others: list[pa.Array] = []
    for folder in tree.folders:
        is_wanted = folder.are([suffix])
        wanted += tree.files(folder, is_wanted)
        others.append(folder.paths(~is_wanted))
    if not wanted:
        raise InputError(
            f"{source.path} must be a {suffix} file or hold such files "
            f"(source.kind is {source.kind}), found {len(tree)} others"
        )
    return sorted(wanted, key=lambda file: file.name), sorted_texts(others)


def _refuse_links(tree: Tree, suffix: str) -> None:
    """Refuse shards that are links to nothing: each stands for many images."""
    lost = [link for link in tree.links if link.name.lower().endswith(suffix)]
    if lost:
        raise InputError(
            f"every {suffix} file below {tree.root} must be there, found {len(lost)} links to "
            f"none: {lost[0].name} is {lost[0].reason}; point it elsewhere or remove it"
        )


def source_state(source: SourceConfig) -> str:
    """Return a digest of path, size and time of change of every file of a source.

    The listing stays the same as long as the state does.

    Raises: InputError as `list_tree` does.
    """
    files = []
    tree = ""
    if _is_file(source.path):
        files.append(_single_file(source.path))
    else:
        tree = list_tree(source).state()
    if source.class_names is not None and Path(source.class_names).is_file():
        files.append(_single_file(source.class_names))
    return hashlib.sha256(repr((tree, files)).encode()).hexdigest()


def _is_file(path: str) -> bool:
    if not is_remote(path):
        return Path(path).is_file()
    filesystem, inner = file_system(path)
    with reachable(path):
        return bool(filesystem.isfile(inner))


def _single_file(path: str) -> SourceFile:
    if is_remote(path):
        return remote_file(path)
    real = resolved(Path(path))
    status = real.stat()
    return SourceFile(real.name, str(real), status.st_size, status.st_mtime_ns)
