"""What a run knows of one of its subsets, for the card, read from its files."""

import inspect
import math
from collections.abc import Iterator, Mapping
from contextlib import suppress

from jobs.answers.known_sources import with_known
from jobs.answers.read import comparisons
from jobs.answers.selections import finished_selections, read_units, unrepresented
from jobs.answers.short_training import short_training
from jobs.run_directory.config import BASELINE
from jobs.run_directory.copy_facts import copy_facts
from jobs.run_directory.groups import budget_words, ignores_labels, unit_word
from jobs.run_directory.marker import read_marker
from jobs.run_directory.results import CheckpointMetrics, read_metrics, read_subset_quality
from jobs.run_directory.run import Run
from jobs.run_directory.selection_config import SHARED_FIELDS
from jobs.run_directory.subset_manifest import stored_composed
from otcondense.counts import counted
from otcondense.encoders.origins import TRANSFORMERS, transformers_name
from otcondense.errors import MissingInputError
from otcondense.exports.card.facts import About, Choice, ClassFacts, Measured, Origin
from otcondense.exports.card.licences import Licence
from otcondense.selection import SELECTORS
from otcondense.store import (
    ClassSelection,
    canonical_json,
    selection_measures,
)

PATH_MARKS = ("/", "~", ".")
"""First characters of a path: of such a name of a network, only the last part is told."""


def card_facts(
    run: Run,
    subset: str,
    licence: Licence | None,
    origin: Origin,
    repository: str | None = None,
) -> About:
    """Return what the card of a subset says.

    Args:
        run: the run.
        subset: name of the subset.
        licence: of the images; None if it was not given.
        origin: what the user says of the source.
        repository: ORG/NAME on the Hub, if it is known.

    Raises: MissingInputError if the subset has not been selected yet; InputError if a file is
        damaged.
    """
    classes = list(finished_selections(run, subset))
    return About(
        licence=licence,
        origin=with_known(origin, run.config),
        choice=_choice(run, subset, classes),
        classes=tuple(map(_class_facts, classes)),
        unit=unit_word(run.config),
        whole="all images" if ignores_labels(run.config) else "its class",
        together=_together(run, subset),
        measured=tuple(_measured(run, subset)),
        compared=tuple(comparisons(run, subset)),
        remark=short_training(run),
        repository=repository,
    )


def _together(run: Run, subset: str) -> dict[str, float] | None:
    """Return the measures of all groups together; None without groups."""
    if run.config.groups is None:
        return None
    measures = {}
    composed = stored_composed(run, subset)
    if composed is not None:
        measures = {
            "objective": composed.objective,
            "lower_bound": composed.lower_bound,
            "gap": composed.gap,
        }
    with suppress(MissingInputError):  # the manifest alone is enough to export
        left_out = unrepresented(read_units(run, subset))
        measures |= {} if left_out is None else {"left_out_share": left_out}
    return {name: value for name, value in measures.items() if math.isfinite(value)}


def _choice(run: Run, subset: str, classes: list[ClassSelection]) -> Choice:
    selection = run.config.selection
    chosen = selection.subset(subset)
    marker = read_marker(run.store)
    compared, encoder = _looked_at(run, chosen.method)
    return Choice(
        method=chosen.method,
        meaning=(inspect.getdoc(SELECTORS[chosen.method]) or "").partition("\n")[0],
        budget=budget_words(run.config, chosen.budgets[-1]),
        seed=selection.seed,
        settings=dict(_settings(selection.selector_settings(chosen.method, 1))),
        compared=compared,
        encoder=encoder,
        others=_others(run, classes),
        manifest_sha256=run.manifest_fingerprint(subset),
        versions={} if marker is None else dict(marker.versions or {}),
    )


def _looked_at(run: Run, method: str) -> tuple[str, str]:
    """Return what a method compared, and the network if its features decided."""
    kind = SELECTORS[method].difficulty_kind
    if method == BASELINE:
        unit = unit_word(run.config)
        return f"nothing: every image of a {unit} is as likely as any other", ""
    if kind is not None:
        used = dict[str, str](run.config.selection.difficulty).get(method, kind)
        return f"scores of difficulty ({used})", ""
    if not run.config.source.has_images:
        is_unit = run.features_view().parts[0].is_unit
        return f"given features{' (of length 1)' if is_unit else ''}", ""
    return features_seen(run)


def _settings(values: Mapping[str, object], group: str = "") -> Iterator[tuple[str, str]]:
    """Yield the settings of a method, those of groups by dotted names; unset ones are left out."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _settings(value, f"{group}{name}.")
        elif value is not None and not (name in SHARED_FIELDS and not group):
            yield f"{group}{name}", value if isinstance(value, str) else canonical_json(value)


def features_seen(run: Run) -> tuple[str, str]:
    """Return which features the selection sees, and the names of their networks."""
    encoders, parts = run.config.selecting, run.features_view().parts
    names = [public_name(each.name) for each in encoders]
    is_joined = len(names) > 1
    seen = []
    for name, part in zip(names, parts, strict=True):
        details = ["of length 1"] if part.is_unit else []
        details += [f"weight {part.weight:g}"] if is_joined else []
        seen.append(f"{name} ({', '.join(details)})" if details else name)
    network = "networks" if is_joined else "network"
    joined = ", joined: each scaled to its weight in every class" if is_joined else ""
    return f"features of the {network} {' and '.join(seen)}{joined}", " and ".join(names)


def public_name(name: str) -> str:
    """Return the name of a network; of a path of this machine, its last part."""
    place = transformers_name(name)
    if place is not None:
        return f"{TRANSFORMERS}{public_name(place)}"
    return name.rstrip("/").rpartition("/")[2] if name.startswith(PATH_MARKS) else name


def _others(run: Run, classes: list[ClassSelection]) -> dict[str, str]:
    selection = run.config.selection
    groups = run.config.groups
    found = {}
    if groups is not None:
        of = "all images" if ignores_labels(run.config) else "each class"
        found["chosen from"] = f"groups of at most {counted(groups.most, 'image')} of {of}"
    found |= copy_facts(classes)
    forced = {"had to be chosen": selection.included(), "must not be chosen": selection.excluded()}
    for name, ids in forced.items():
        if ids:
            found[name] = counted(len(ids), "image")
    return found


def _class_facts(selection: ClassSelection) -> ClassFacts:
    return ClassFacts(
        name=selection.class_name,
        num_images=len(selection.image_ids),
        num_chosen=len(selection.indices),
        measures=selection_measures(selection.summary),
    )


def _measured(run: Run, subset: str) -> Iterator[Measured]:
    """Yield the metrics of the subset itself, then those of the last checkpoint of each model."""
    own = read_subset_quality(run).get(subset)
    if own is not None:
        held_out = int(own.values["num_held_out"])
        yield Measured("the chosen images", public_name(own.encoder), held_out, own.values)
    last: dict[str, CheckpointMetrics] = {}
    for row in read_metrics(run):
        if row.method == subset:
            last[row.model] = row
    for row in last.values():
        record = row.record
        samples = counted(record.num_samples, "sample")
        what = f"{samples} of model {row.model} after {row.step:,} steps, trained on the subset"
        yield Measured(what, public_name(record.encoder), record.num_held_out, record.values)
