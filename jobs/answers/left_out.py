"""What a run could not choose, and why, and what needs a look: each with its number of images."""

import textwrap
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import pyarrow as pa
import pyarrow.compute as pc

from jobs.answers.class_copies import copies_across_classes
from jobs.run_directory.groups import ignores_labels, selection_groups, unit_word
from jobs.run_directory.listing import run_listing
from jobs.run_directory.run import Run
from otcondense.datasets.suffixes import IMAGE_SUFFIXES
from otcondense.report.answer import LeftOut
from otcondense.store import CopySummary, name_column, read_table
from pipeline.quarantine import quarantine_file

SHOWN = 3
"""Examples of a reason."""
REASON = 100
"""Characters of the reason of one image."""
POLICIES = {
    "merge": "counted as one candidate with their copy",
    "drop": "dropped",
}
"""What was done with copies, by policy."""


@dataclass(frozen=True)
class Chosen:
    """How many images a subset has."""

    counts: dict[str, int]
    """Of each class, or of each group, in the order of the manifest."""
    num_classes: int
    """Classes of the chosen images in the source."""
    equal: tuple[str, ...] = ()
    """Ids of the chosen images that have the same bytes as another chosen one."""


def chosen_of(manifest: pa.Table) -> Chosen:
    """Return how many images a subset has."""
    column = name_column(manifest)
    counts = manifest.group_by(column, use_threads=False).aggregate([([], "count_all")])
    columns = [counts.column(each).to_pylist() for each in (column, "count_all")]
    num_classes = len(manifest.column("class_name").unique())
    return Chosen(dict(zip(*columns, strict=True)), num_classes, tuple(_equal(manifest)))


def _equal(manifest: pa.Table) -> list[str]:
    times = manifest.group_by("sha256", use_threads=False).aggregate([([], "count_all")])
    several = times.filter(pc.greater(times.column("count_all"), 1)).column("sha256")
    rows = manifest.filter(pc.is_in(manifest.column("sha256"), several.combine_chunks()))
    ids: list[str] = rows.sort_by("image_id").column("image_id").to_pylist()
    return ids


def left_out(
    run: Run, chosen: Mapping[str, Chosen], copies: Sequence[CopySummary]
) -> Iterator[LeftOut]:
    """Yield the reasons for which images were no candidates.

    Args:
        run: the run; its features are extracted.
        chosen: by method.
        copies: of all classes or groups; every method sees them alike.

    Raises: InputError if the source is needed and cannot be listed.
    """
    yield from _unreadable(run)
    yield from _ignored(run)
    yield from _copies(copies, unit_word(run.config))
    if not ignores_labels(run.config):
        yield from copies_across_classes(run)
    if run.config.groups is not None:
        yield from _equal_choices(next(iter(chosen.values())))
    yield from _small_classes(run, next(iter(chosen.values()), None))


def candidates(run: Run) -> dict[str, int]:
    """Return the number of images of each class, or of each group, that can be read."""
    if run.config.groups is not None:
        return selection_groups(run).sizes
    lost = _unreadable_by_class(run)
    return {name: size - lost[name] for name, size in run_listing(run).sizes.items()}


def _unreadable(run: Run) -> Iterator[LeftOut]:
    """Yield the unreadable images, one entry for each reason if there are few reasons."""
    name = quarantine_file(run.features_directory(run.config.encoder))
    if not run.store.exists(name):
        return
    lost = read_table(run.store, name)
    if len(lost):
        examples = [_shown(row) for row in _first(lost)]
        yield LeftOut(
            count=len(lost),
            what="image",
            reason="that cannot be read",
            where=run.store.path(name),
            examples=tuple(examples),
            done="left out",
        )


def _shown(row: Mapping[str, str]) -> str:
    reason = textwrap.shorten(row["reason"], REASON, placeholder=" ...")
    return f"{row['image_id']}: {reason}"


def _unreadable_by_class(run: Run) -> Counter[str]:
    """Return the number of images of each class that are listed and cannot be read."""
    name = quarantine_file(run.features_directory(run.config.encoder))
    if not run.store.exists(name):
        return Counter()
    unusable = {each.image_id for each in run_listing(run).unusable}
    rows = read_table(run.store, name).to_pylist()
    return Counter(row["class_name"] for row in rows if row["image_id"] not in unusable)


def _first(table: pa.Table) -> list[dict[str, str]]:
    """Return the first row of each reason, at most `SHOWN`."""
    firsts: dict[str, dict[str, str]] = {}
    for row in table.to_pylist():
        firsts.setdefault(row["reason"], row)
    return list(firsts.values())[:SHOWN]


def _ignored(run: Run) -> Iterator[LeftOut]:
    """Yield the files that were not looked at; images that lie in the wrong place come first."""
    loose: list[str] = []
    others: list[str] = []
    for name in run_listing(run).ignored:
        (loose if _is_visible_image(name) else others).append(name)
    if loose:
        yield LeftOut(
            count=len(loose),
            what="image",
            reason="in no folder of a class",
            examples=tuple(loose[:SHOWN]),
            done="not looked at",
        )
    if others:
        yield LeftOut(
            count=len(others),
            what="file",
            reason="that are hidden or have no name of an image",
            examples=tuple(others[:SHOWN]),
            done="not looked at",
        )


def _is_visible_image(name: str) -> bool:
    """Tell whether a file is an image by its name, and neither it nor a folder of it is hidden."""
    parts = PurePosixPath(name)
    is_hidden = any(part.startswith(".") for part in parts.parts)
    return parts.suffix.lower() in IMAGE_SUFFIXES and not is_hidden


def _copies(found: Sequence[CopySummary], unit: str) -> Iterator[LeftOut]:
    for policy, meaning in POLICIES.items():
        of_policy = [each for each in found if each.policy == policy]
        exact = sum(each.exact for each in of_policy)
        near = sum(each.near for each in of_policy)
        if exact:
            yield LeftOut(exact, "image", f"equal to another one of the {unit}", done=meaning)
        if near:
            yield LeftOut(near, "image", f"nearly equal to another one of the {unit}", done=meaning)
    held_out = sum(each.held_out for each in found)
    if held_out:
        yield LeftOut(
            held_out, "image", "equal to a held-out image", done=f"left out of the {unit}"
        )


def _equal_choices(chosen: Chosen) -> Iterator[LeftOut]:
    """Yield the chosen images that are copies: those in several groups are not compared."""
    if chosen.equal:
        yield LeftOut(
            count=len(chosen.equal),
            what="chosen image",
            reason="with the same bytes as another chosen one",
            examples=chosen.equal[:SHOWN],
            done="kept: copies in several groups are not compared",
            is_kept=True,
        )


def _small_classes(run: Run, chosen: Chosen | None) -> Iterator[LeftOut]:
    """Yield the classes or groups in which nothing was chosen because all images were taken."""
    if chosen is None:
        return
    sizes = candidates(run)
    small = [name for name, count in chosen.counts.items() if count >= sizes.get(name, 0)]
    if small:
        yield LeftOut(
            count=len(small),
            what=unit_word(run.config),
            reason="with no more images than the budget",
            examples=tuple(small[:SHOWN]),
            done="taken whole, nothing was selected there",
        )
