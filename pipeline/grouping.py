"""The groups of a run: coarse levels, groups in cells, names, files, and the table of all groups.

Finished files carry fingerprints and are skipped, so that a killed run loses its open tasks only.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from otcondense.grouping.balance import Limits
from otcondense.grouping.coarse import cells_of, joined_cells
from otcondense.grouping.names import group_names, separator_of
from otcondense.store import GroupTable, groups_file, read_fingerprint, read_groups, write_groups
from pipeline.checked import Checked
from pipeline.group_cells import (
    NamedCell,
    SplitCell,
    group_files,
    group_fingerprint,
    in_batches,
    split_cell,
    write_cells,
)
from pipeline.group_levels import (
    LevelPart,
    Opened,
    assign_part,
    draw_sample,
    fit_cell,
    parts_of_level,
    read_centres,
)
from pipeline.group_plan import Cell, GroupPlan

if TYPE_CHECKING:
    from pipeline.group_crew import GroupCrew

OnProgress = Callable[[int, int], None]
"""Gets the number of images that are done, and their total."""
STEPS = 4
"""Steps of each image: sample, cell, group, file. A step counts as a quarter of the image."""
BATCH_ROWS = 2**14
"""Images of a task that writes groups: a class is often one small group."""


@dataclass(frozen=True)
class GroupingResult:
    """The groups of a run."""

    table: GroupTable
    is_earlier: bool
    """Whether an earlier call had finished everything."""


@dataclass
class _Steps:
    """Counts the images of all steps."""

    total: int
    on_progress: OnProgress
    done: int = 0

    def add(self, images: int, steps: int = 1) -> None:
        self.done += images * steps
        self.on_progress(min(self.done // STEPS, self.total), self.total)


def make_groups(
    plan: GroupPlan, crew: "Callable[[], GroupCrew]", on_progress: OnProgress
) -> GroupingResult:
    """Write the groups of all roots, their features and scores, and last the table.

    Args:
        plan: of the groups.
        crew: makes what runs the tasks; it is called only if there are some.
        on_progress: called after every task.

    Raises: InputError or MissingInputError if features, confidences or scores are missing, damaged
        or not finite.
    """
    checked = Checked.load(plan.store, plan.directory)
    known = finished_groups(plan, checked)
    if known is not None:
        _tidy(plan, known, checked)
        on_progress(plan.images, plan.images)
        return GroupingResult(known, is_earlier=True)

    steps = _Steps(plan.images, on_progress)
    steps.add(0)
    runner = crew()
    cells = _cells(plan, runner, steps)
    split: dict[Cell, SplitCell] = {}
    for cell, found in runner.map(split_cell, cells):
        split[cell] = found
        steps.add(cell.size)
    named = _named(plan, cells, split)
    distinct: dict[Cell, tuple[int, ...]] = {}
    for batch, counts in runner.map(write_cells, in_batches(named, BATCH_ROWS)):
        distinct |= {each.cell: count for each, count in zip(batch, counts, strict=True)}
        steps.add(sum(each.cell.size for each in batch))

    table = _table(plan, named, split, distinct)
    write_groups(plan.store, plan.directory, table, fingerprint=plan.fingerprint)
    for file, expected, size in expected_files(plan, table):
        checked.add(file, expected, size)  # written just now: the next start need not read it
    _tidy(plan, table, checked)
    return GroupingResult(table, is_earlier=False)


def finished_groups(plan: GroupPlan, checked: Checked) -> GroupTable | None:
    """Return the groups of an earlier call; None if a file is missing, damaged or of other inputs.

    Args:
        plan: of the groups.
        checked: files that are known to be undamaged; more are added.
    """
    store = plan.store
    if read_fingerprint(store, groups_file(plan.directory)) != plan.fingerprint:
        return None
    table = read_groups(store, plan.directory)
    for file, expected, size in expected_files(plan, table):
        found = checked.known(file)
        if found is None and read_fingerprint(store, file) == expected:
            found = checked.add(file, expected, size)
        if found is None or found.fingerprint != expected:
            return None
    return table


def expected_files(plan: GroupPlan, table: GroupTable) -> Iterator[tuple[str, str, int]]:
    """Yield the name, the fingerprint and the rows of every file of the groups in a table."""
    roots = {root.name: root for root in plan.roots}
    rows = zip(table.names, table.class_names, table.sizes, strict=True)
    for index, (name, class_name, size) in enumerate(rows):
        if class_name not in roots:
            continue  # the table is of other classes, which its fingerprint tells
        expected = group_fingerprint(roots[class_name], name, index)
        for file in group_files(plan, name):
            yield file, expected, size


def _cells(plan: GroupPlan, runner: "GroupCrew", steps: _Steps) -> list[Cell]:
    """Divide the roots, level by level, into cells that one worker holds."""
    most = max(plan.cell_rows, plan.config.most)
    pending = [Cell(root.number, 0, (), root.size) for root in plan.roots]
    found: list[Cell] = []
    while pending:
        small = [cell for cell in pending if cell.size <= most]
        large = [cell for cell in pending if cell.size > most]
        steps.add(sum(cell.size for cell in small if cell.level == 0), 2)
        found += small
        pending = _divided(plan, runner, large, steps) if large else []
    return sorted(found, key=lambda cell: (cell.root, cell.level, cell.labels))


def _divided(
    plan: GroupPlan, runner: "GroupCrew", large: Sequence[Cell], steps: _Steps
) -> list[Cell]:
    """Return the cells of the next level of some cells, all of one level."""
    opened = _opened(plan, large)
    parts = parts_of_level(plan, opened)
    for at, _ in runner.map(draw_sample, parts):
        steps.add(_new_rows(plan, at))
    deque(runner.map(fit_cell, opened), maxlen=0)
    sizes: Counter[tuple[int, int]] = Counter()
    for at, counts in runner.map(assign_part, parts):
        steps.add(_new_rows(plan, at))
        for number, count in counts.items():
            sizes[at.root, number] += count
    found: list[Cell] = []
    for each in opened:
        found += _new_cells(plan, each, sizes)
    return found


def _new_rows(plan: GroupPlan, at: LevelPart) -> int:
    """Return the images of a part that take their first steps: those of later levels have."""
    return plan.roots[at.root].parts[at.part].rows if at.level == 0 else 0


def _opened(plan: GroupPlan, large: Sequence[Cell]) -> list[Opened]:
    """Number the new cells of each root."""
    following: Counter[int] = Counter()
    opened = []
    for cell in large:
        count = cells_of(cell.size, plan.cell_rows)
        opened.append(Opened(cell, following[cell.root], count))
        following[cell.root] += count
    return opened


def _new_cells(plan: GroupPlan, opened: Opened, sizes: Counter[tuple[int, int]]) -> Iterator[Cell]:
    """Yield the cells that a cell is divided into; those too small for a group are joined."""
    root = opened.cell.root
    of_cell = {number: sizes[root, opened.first + number] for number in range(opened.count)}
    centres = read_centres(plan, opened)
    joined = joined_cells(of_cell, centres, Limits(plan.config.most).least)
    of_equal = opened.cell.of_equal or len(centres) == 1 or len(joined) == 1
    for numbers in joined:
        labels = tuple(opened.first + number for number in numbers)
        size = sum(of_cell[each] for each in numbers)
        yield Cell(root, opened.cell.level + 1, labels, size, of_equal)


def _named(plan: GroupPlan, cells: Sequence[Cell], split: dict[Cell, SplitCell]) -> list[NamedCell]:
    """Name the groups of all cells, in the order of the cells."""
    counts = Counter[int]()
    for cell in cells:
        counts[cell.root] += len(split[cell].sizes)
    separator = separator_of(root.name for root in plan.roots)
    names: list[str] = []
    for root in plan.roots:
        names += group_names(root.name, counts[root.number], separator)
    named = []
    first = 0
    for cell in cells:
        end = first + len(split[cell].sizes)
        named.append(NamedCell(cell, tuple(names[first:end]), first))
        first = end
    return named


def _table(
    plan: GroupPlan,
    named: Sequence[NamedCell],
    split: dict[Cell, SplitCell],
    distinct: dict[Cell, tuple[int, ...]],
) -> GroupTable:
    names: list[str] = []
    class_names: list[str] = []
    sizes: list[int] = []
    different: list[int] = []
    for each in named:
        names += each.names
        class_names += [plan.roots[each.cell.root].name] * len(each.names)
        sizes += split[each.cell].sizes
        different += distinct[each.cell]
    cut = 0
    for cell, found in split.items():
        cut += cell.size if cell.of_equal else found.cut
    return GroupTable(names, class_names, sizes, different, cut)


def _tidy(plan: GroupPlan, table: GroupTable, checked: Checked) -> None:
    """Delete what lay between the levels, and groups of other inputs, whose images are in others.

    The list of checked files is saved.
    """
    store = plan.store
    checked.save()
    store.remove(plan.levels)
    kept = {file for file, _, _ in expected_files(plan, table)}
    others = [name for name in store.list(plan.directory) if "/class_name=" in name]
    stale = [name for name in others if name not in kept]
    for name in stale:
        store.remove(name)
    store.remove_empty_folders(stale)
