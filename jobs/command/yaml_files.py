"""YAML files of settings, by path or by the name of a shipped one; `base` builds one on another."""

from pathlib import Path
from typing import Any

from jobs.command.yaml_text import parse_yaml
from otcondense.errors import InputError
from otcondense.near_names import near_path
from otcondense.reading import RefusedFileError, read_regular

CONFIGS = Path(__file__).parents[1] / "configs"
"""The shipped files of settings."""
SHIPPED = {
    "configuration": CONFIGS,
    "sweep": CONFIGS / "sweep",
    "comparison": CONFIGS / "compare",
}
"""Folder of the shipped files by what they configure."""
SUFFIX = ".yaml"
YAML_BYTES = 2**22
"""Largest file: it can name a hundred thousand images to leave out."""
MOST_BASES = 20
"""Files that may be built on each other."""


def read_yaml(path: str, kind: str = "configuration") -> dict[str, Any]:
    """Return the keys and values of a YAML file.

    A key `base` names another YAML file, relative to this one; its values hold where this file sets
    none. Groups of settings are merged, all other values are replaced.

    Args:
        path: the file, or the name of a shipped one, such as `demo`.
        kind: what the file is, for messages; a key of `SHIPPED` if we ship such files.

    Raises: InputError if a file is missing, holds something else, or is its own base.
    """
    file = _file(path, kind)
    content = _content(file, kind)
    if content is None:
        raise InputError(f"{kind} file {file} does not exist{_shipped(kind)}{near_path(file)}")
    return _with_bases(file, content, ())


def _file(path: str, kind: str) -> Path:
    """Return the file that a path names: one that exists, else a shipped one.

    A shipped one has a name (`demo`, `demo.yaml`), and is found by its path in a checkout
    (`jobs/configs/demo.yaml`) from any directory.
    """
    named = Path(path)
    if named.is_file() or kind not in SHIPPED:
        return named
    in_checkout = CONFIGS.parents[1] / named
    by_name = SHIPPED[kind] / f"{path.removesuffix(SUFFIX)}{SUFFIX}"
    for shipped in (by_name, in_checkout):
        if shipped.is_relative_to(CONFIGS) and shipped.is_file():
            return shipped
    return named


def chain_of(file: Path) -> list[Path]:
    """Return a YAML file and the files that it is built on by `base`, as they are named.

    Raises: InputError if one is missing or no YAML.
    """
    chain = [file]
    while len(chain) <= MOST_BASES:
        content = _content(chain[-1], "configuration")
        if content is None:
            raise InputError(f"the file {chain[-1]} does not exist; correct the key base")
        values = parse_yaml(content, str(chain[-1]))
        base = values.get("base") if isinstance(values, dict) else None
        if not isinstance(base, str):
            break
        chain.append(chain[-1].parent / base)
    return chain


def _with_bases(file: Path, content: bytes, readers: tuple[Path, ...]) -> dict[str, Any]:
    """Return the values of a file; `readers` are the files that led to it by `base`."""
    if file.resolve() in readers:
        raise InputError(f"{file} must not be its own base, found a circle of `base` keys")
    if len(readers) > MOST_BASES:
        raise InputError(f"{file} must be at most the {MOST_BASES}th base of another; merge some")
    values = parse_yaml(content, str(file))
    if not isinstance(values, dict):
        raise InputError(f"{file} must hold keys and values, found {type(values).__name__}")
    if "base" not in values:
        return values
    base = values.pop("base")
    if not isinstance(base, str):
        raise InputError(f"base in {file} must be the path of a YAML file, found {base!r}")
    below = file.parent / base
    found = _content(below, "base")
    if found is None:
        raise InputError(f"base in {file} must name a YAML file, found none at {below}")
    inherited = _with_bases(below, found, (*readers, file.resolve()))
    return _merge(inherited, values)


def _content(file: Path, kind: str) -> bytes | None:
    """Return the content of a file, None if there is none.

    Raises: InputError for a folder, a FIFO or a file too large for a configuration.
    """
    try:
        return read_regular(file, YAML_BYTES)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except RefusedFileError as error:
        raise InputError(f"{kind} file {error}") from error


def _shipped(kind: str) -> str:
    if kind not in SHIPPED:
        return "; correct the path"
    known = ", ".join(sorted(each.stem for each in SHIPPED[kind].glob(f"*{SUFFIX}")))
    return f"; give its path, or the name of a shipped one: {known}"


def _merge(inherited: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    """Return `inherited` with `values` in it, groups of settings merged key by key."""
    merged = dict(inherited)
    for key, value in values.items():
        earlier = merged.get(key)
        if isinstance(earlier, dict) and isinstance(value, dict):
            merged[key] = _merge(earlier, value)
        else:
            merged[key] = value
    return merged
