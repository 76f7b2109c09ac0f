"""What keeps weights from fitting a network: the tensors that differ, and the likely cause."""

from collections.abc import Mapping

from torch import Tensor

Shape = tuple[int, ...]
NAMED = 3
"""Tensors that a message names."""


def shapes_of(tensors: Mapping[str, Tensor]) -> dict[str, Shape]:
    """Return the shapes of tensors by name."""
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def misfit(wanted: Mapping[str, Shape], found: Mapping[str, Shape]) -> str | None:
    """Return which tensors differ, as a part of a sentence; None if none does.

    Args:
        wanted: shapes of the network's tensors by name.
        found: shapes of the file's tensors by name.
    """
    names = [*wanted, *(name for name in found if name not in wanted)]
    wrong = [name for name in names if wanted.get(name) != found.get(name)]
    if not wrong:
        return None
    first = ", ".join(_difference(name, wanted, found) for name in wrong[:NAMED])
    rest = f" and {len(wrong) - NAMED} more" if len(wrong) > NAMED else ""
    return f"{len(wrong)} of {len(names)} tensors differ: {first}{rest}"


def _difference(name: str, wanted: Mapping[str, Shape], found: Mapping[str, Shape]) -> str:
    if name not in found:
        return f"{name} (missing)"
    if name not in wanted:
        return f"{name} (not of this network)"
    return f"{name} (expected {_text(wanted[name])}, found {_text(found[name])})"


def _text(shape: Shape) -> str:
    return "x".join(map(str, shape)) or "one number"


def encoder_misfit(wanted: Mapping[str, Shape], found: Mapping[str, Shape]) -> str | None:
    """Return which tensors of an encoder differ, and the likely cause; None if none does."""
    difference = misfit(wanted, found)
    return difference and f"{difference}; {_cause(wanted, found)}"


def _cause(wanted: Mapping[str, Shape], found: Mapping[str, Shape]) -> str:
    """Return the likely cause in the words of an encoder's settings."""
    shared = [name for name in wanted if name in found]
    prefix = _prefix(wanted, found)
    if prefix:
        return f"the names in the file begin with {prefix!r}: save the network without it"
    if len(shared) * 2 < len(wanted):
        return "the file is of another network: correct name or weights"
    other = [name for name in shared if wanted[name] != found[name]]
    if not other:
        return "the file is of another version of this network, or is not whole"
    if len(shared) < len(wanted) or len(wanted) < len(found):
        return "the file is of another size of this network: correct name or weights"
    if _differ_in(0, other, wanted, found):
        return f"the file has {found[other[0]][0]} classes: correct num_classes"
    if _differ_in(1, other, wanted, found):
        return f"the file takes {found[other[0]][1]} channels: correct in_chans"
    return "the file is of another size of this network: correct name or weights"


def _prefix(wanted: Mapping[str, Shape], found: Mapping[str, Shape]) -> str:
    """Return what all names in the file have before those of the network; empty if nothing."""
    first = next(iter(wanted), "")
    for name in found:
        prefix = name.removesuffix(first)
        if first and name.endswith(first) and prefix:
            stripped = {each.removeprefix(prefix) for each in found}
            return prefix if stripped >= wanted.keys() else ""
    return ""


def _differ_in(
    axis: int, names: list[str], wanted: Mapping[str, Shape], found: Mapping[str, Shape]
) -> bool:
    """Tell whether a layer, and its bias, differ in the length of one axis only."""
    layers = {name.rpartition(".")[0] for name in names}
    return len(layers) == 1 and all(
        _without(axis, wanted[name]) == _without(axis, found[name]) for name in names
    )


def _without(axis: int, shape: Shape) -> Shape:
    return shape[:axis] + shape[axis + 1 :]
