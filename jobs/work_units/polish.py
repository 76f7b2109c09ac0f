"""Units of polishing: the selections of all groups of a class, improved together."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from actors.polish_unit import PolishUnit
from actors.selection_unit import SelectionUnit
from jobs.run_directory.groups import Groups
from jobs.run_directory.run import POLISH_VERSION, Run
from otcondense.store import fingerprint

MOST_POLISHED = 131_072
"""Images of a class whose groups are polished: one worker visits one group after another, which
takes some hours above it. The memory is that of one group."""


def polish_units(
    run: Run, groups: Groups, selections: Iterable[SelectionUnit]
) -> Iterator[PolishUnit]:
    """Yield one unit for each class with several groups, the largest first.

    A group of another class keeps its selection, and is a unit by itself.

    Args:
        run: the run.
        groups: the groups of all classes.
        selections: the selections of the groups, of any subsets. A class is left out if those of
            some of its groups are missing.
    """
    members: dict[tuple[str, str], dict[str, SelectionUnit]] = {}
    for unit in selections:
        if run.is_polished(unit.subset):
            key = (unit.subset, groups.class_of[unit.class_name])
            members.setdefault(key, {})[unit.class_name] = unit
    names = _names(groups)
    sizes = groups.class_sizes()
    for subset, of_class in sorted(members, key=lambda key: -sizes[key[1]]):
        found = members[subset, of_class]
        if len(found) < len(names[of_class]):
            continue
        sources = [found[name] for name in names[of_class]]
        if _is_polished(len(sources), sizes[of_class]):
            yield _unit(
                run, f"{subset}, polish the groups of {groups.holder(of_class)}", of_class, sources
            )
        else:
            for source in sources:
                yield _unit(run, f"{source.name}, kept", source.class_name, [source])


def left_unpolished(run: Run, groups: Groups) -> list[str]:
    """Return a sentence for each class whose groups are too many to be polished."""
    if not any(map(run.is_polished, run.config.selection.subsets)):
        return []
    names = _names(groups)
    return [
        f"{groups.holder(name)} keeps the choices of its {len(names[name]):,} groups: it has "
        f"{size:,} images, and selection.polish is for at most {MOST_POLISHED:,}"
        for name, size in groups.class_sizes().items()
        if len(names[name]) > 1 and not _is_polished(len(names[name]), size)
    ]


def _is_polished(num_groups: int, size: int) -> bool:
    return num_groups > 1 and size <= MOST_POLISHED


def _names(groups: Groups) -> dict[str, list[str]]:
    """Return the groups of each class."""
    names: dict[str, list[str]] = {}
    for name, of_class in groups.class_of.items():
        names.setdefault(of_class, []).append(name)
    return names


def _unit(run: Run, name: str, of_class: str, sources: Sequence[SelectionUnit]) -> PolishUnit:
    """Return the unit; each result depends on the selections of all groups."""
    subset = sources[0].subset
    directory = run.selection_directory(subset)
    whole = fingerprint(["polish", POLISH_VERSION, *[each.fingerprint for each in sources]])
    results = []
    for each in sources:
        of_group = fingerprint([whole, each.class_name])
        results.append(replace(each, directory=directory, fingerprint=of_group))
    size = sum(each.size for each in sources)
    return PolishUnit(name, subset, of_class, size, tuple(sources), tuple(results))
