"""Collects the data of the report from the files of a run."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

import torch
import yaml

from jobs.answers.read import read_answer
from jobs.answers.selections import finished_selections
from jobs.judging.evaluation import Evaluation
from jobs.judging.run_images import chosen_images
from jobs.report.copies import budget_facts, copy_rows
from jobs.report.histories import Selections, histories, histories_note
from jobs.run_directory.copy_facts import copy_facts
from jobs.run_directory.groups import unit_word
from jobs.run_directory.marker import describe
from jobs.run_directory.results import CheckpointMetrics, read_metrics, read_subset_quality
from jobs.run_directory.run import Run
from jobs.run_directory.stage_log import stage_seconds
from jobs.thumbnails.stored import FULL_CLASSES, FULL_IMAGES, Pictures, write_thumbnails
from otcondense.counts import counted, plural_of
from otcondense.datasets import order_classes
from otcondense.datasets.images import ListedImages
from otcondense.diffusion.loss_lines import CURVE_FILE
from otcondense.diffusion.samples import read_samples, sample_prompts
from otcondense.encoders import weights_sha256
from otcondense.evaluation import ImageSet, nearest_neighbours
from otcondense.report import (
    ClassCard,
    ClassSheet,
    FeatureMap,
    LossCurve,
    LossPoint,
    MetricRow,
    Published,
    ReportData,
    SampleSheet,
    StageTime,
    SubsetRow,
    Thumbnail,
    class_map,
    loss_curve,
    published_for,
)
from otcondense.store import ClassSelection

SHEET_SAMPLES = 30
"""Samples that the report shows with their nearest images."""
PUBLISHED_SAMPLES = 50_000
"""Samples of the published figures."""
PUBLISHED_GUIDANCE = 1.5
"""Guidance scale of the published figures."""


def collect(run: Run) -> ReportData:
    """Return everything that the run has so far; missing results are left out of the report.

    Raises: InputError if images of the source that the report shows are missing or have changed.
    """
    selections = _selections(run)
    records = read_metrics(run)
    config = run.config.model_dump(mode="json")
    return ReportData(
        title=f"OTCondense: {run.config.run}",
        unit=unit_word(run.config),
        answer=read_answer(run) if selections else None,
        facts=_facts(run, selections),
        metrics=tuple(_metric_rows(run, records)),
        subsets=tuple(_subset_rows(run)),
        sample_size="x".join(str(side) for side in run.config.pixels.shape[1:]),
        class_sheets=tuple(_class_sheets(run, selections)),
        class_cards=tuple(_class_cards(records, selections)),
        copies=tuple(copy_rows(selections)),
        published=tuple(_published(run, selections)),
        protocol_differences=tuple(_protocol_differences(run)),
        sample_sheets=tuple(_sample_sheets(run, records)),
        feature_maps=tuple(_feature_maps(run, selections)),
        histories=tuple(histories(selections)),
        histories_note=histories_note(selections, unit_word(run.config)),
        loss_curves=tuple(_loss_curves(run)),
        stage_times=tuple(StageTime(name, seconds) for name, seconds in stage_seconds(run).items()),
        config_yaml=yaml.safe_dump(config, sort_keys=False, allow_unicode=True),
        versions=describe(run)["versions"],
    )


def _selections(run: Run) -> Selections:
    """Return the finished selections of each method, by class or group."""
    found: dict[str, list[ClassSelection]] = {}
    for method in run.config.selection.subsets:
        if run.store.exists(run.manifest(method)):
            found[method] = list(finished_selections(run, method))
    return found


def _by_name(selections: Selections) -> dict[str, dict[str, ClassSelection]]:
    """Return the finished selections of each class or group by method, in the order of classes."""
    found: dict[str, dict[str, ClassSelection]] = {}
    for method, classes in selections.items():
        for each in classes:
            found.setdefault(each.class_name, {})[method] = each
    return {name: found[name] for name in order_classes(found)}


def _facts(run: Run, selections: Selections) -> dict[str, str]:
    source = run.config.source
    facts = {"source": source.path}
    if not source.has_images:
        facts["source"] = f"{source.path} (features without images, so the report shows none)"
    if selections:
        facts |= budget_facts(run.config)
    unit = unit_word(run.config)
    for method, classes in selections.items():
        facts[plural_of(unit)] = f"{len(classes):,}"
        facts["images"] = f"{sum(len(each.image_ids) for each in classes):,}"
        facts["chosen"] = f"{sum(len(each.indices) for each in classes):,}"
        facts |= copy_facts(classes)
        proven = sum(bool(each.summary.swap_optimal) for each in classes)
        if proven:
            facts[f"{method}: proven swap-optimal"] = f"{proven:,} of {counted(len(classes), unit)}"
    return facts


def _metric_rows(run: Run, records: list[CheckpointMetrics]) -> Iterator[MetricRow]:
    """Yield the metrics of every checkpoint; those of a further judge have a model of their own."""
    if not records:
        return
    weights = {name: weights_sha256(judge) for name, judge in run.config.judges.items()}
    for row in records:
        yield MetricRow(
            model=row.model,
            method=row.method,
            steps=row.step,
            values=row.record.values,
            num_samples=row.record.num_samples,
            num_held_out=row.record.num_held_out,
            encoder=row.record.encoder,
            encoder_sha256=row.record.encoder_sha256,
        )
        for name, judge in run.config.judges.items():
            yield MetricRow(
                model=f"{row.model} seen by {name}",
                method=row.method,
                steps=row.step,
                values=_values_of_judge(row.record.values, name),
                num_samples=row.record.num_samples,
                num_held_out=row.record.num_held_out,
                encoder=judge.name,
                encoder_sha256=weights[name],
            )


def _values_of_judge(values: Mapping[str, float], judge: str) -> dict[str, float]:
    prefix = f"{judge}."
    own = {name: value for name, value in values.items() if name.startswith(prefix)}
    return {name.removeprefix(prefix): value for name, value in own.items()}


def _subset_rows(run: Run) -> Iterator[SubsetRow]:
    for method, record in read_subset_quality(run).items():
        values = dict(record.values)
        num_images = int(values.pop("num_images"))
        num_held_out = int(values.pop("num_held_out"))
        yield SubsetRow(method, num_images, num_held_out, values)


def _class_sheets(run: Run, selections: Selections) -> Iterator[ClassSheet]:
    if not run.config.source.has_images:
        return
    pictures = {method: write_thumbnails(run, method) for method in selections}
    for name, found in islice(_by_name(selections).items(), FULL_CLASSES):
        images, counts = {}, {}
        for method, selection in found.items():
            chosen = [selection.image_ids[row] for row in selection.indices]
            images[method] = tuple(_shown(chosen, pictures[method]))
            counts[method] = len(chosen)
        yield ClassSheet(name, images, counts)


def _shown(image_ids: Sequence[str], pictures: Pictures) -> Iterator[Thumbnail]:
    for image_id in image_ids[:FULL_IMAGES]:
        if image_id in pictures:
            yield Thumbnail(image_id, pictures[image_id])


def _class_cards(records: list[CheckpointMetrics], selections: Selections) -> Iterator[ClassCard]:
    # The records are in the order of steps: the last checkpoint of each model and method stays.
    last = {(row.model, row.method): row.record.class_frechet_distance for row in records}
    for name, found in _by_name(selections).items():
        for method, selection in found.items():
            distances = {}
            for (model, trained_on), by_class in last.items():
                if trained_on == method and name in by_class:
                    distances[model] = by_class[name]
            yield ClassCard(
                class_name=name,
                method=method,
                num_images=len(selection.image_ids),
                num_chosen=len(selection.indices),
                left_out_share=selection.summary.left_out_share,
                objective=selection.summary.objective,
                lower_bound=selection.summary.lower_bound,
                distances=distances,
            )


def _published(run: Run, selections: Selections) -> Iterator[Published]:
    """Yield published figures for the same models and numbers of images."""
    models = run.config.models.values()
    names = dict.fromkeys(model.training.model.name for model in models)
    counts: dict[int, None] = {}
    for classes in selections.values():
        counts[sum(len(each.indices) for each in classes)] = None
    for name in names:
        for count in counts:
            yield from published_for(name, run.config.pixels.size, count)


def _protocol_differences(run: Run) -> Iterator[str]:
    if run.config.evaluation.reference is None:
        yield (
            "this run has no metrics by ADM's protocol: set evaluation.network=inception and "
            "evaluation.reference"
        )
    for name, model in run.config.models.items():
        sampling = model.sampling
        if sampling.num_samples != PUBLISHED_SAMPLES:
            yield (
                f"{name} is measured on {sampling.num_samples:,} samples, "
                f"the published figures on {PUBLISHED_SAMPLES:,}"
            )
        if sampling.autoguidance is not None:
            yield (
                f"{name} is guided by an earlier checkpoint (autoguidance), the published figures "
                "come from classifier-free guidance"
            )
        elif sampling.cfg_scale != PUBLISHED_GUIDANCE:
            yield (
                f"{name} is sampled with guidance {sampling.cfg_scale}, "
                f"the published figures with {PUBLISHED_GUIDANCE}"
            )


def _sample_sheets(run: Run, records: list[CheckpointMetrics]) -> Iterator[SampleSheet]:
    evaluation = Evaluation(run)
    pixels: dict[str, ListedImages] = {}
    for row in records:
        if row.method not in pixels:
            pixels[row.method] = chosen_images(run, row.method)
        yield _sample_sheet(evaluation, row, pixels[row.method])


def _sample_sheet(
    evaluation: Evaluation, row: CheckpointMetrics, chosen: ListedImages
) -> SampleSheet:
    run = evaluation.run
    judge = evaluation.judge
    held_out = evaluation.held_out

    directory = run.samples_directory(row.model, row.method, row.step)
    count = min(SHEET_SAMPLES, row.record.num_samples)
    images, _ = read_samples(run.store, directory, count)
    features = judge.encode(ImageSet(lambda: [torch.from_numpy(images)])).features

    near_chosen = nearest_neighbours(features, evaluation.chosen_features(row.method))
    near_held_out = nearest_neighbours(features, evaluation.held_out_features)
    return SampleSheet(
        model=row.model,
        method=row.method,
        steps=row.step,
        samples=images,
        nearest_training=chosen.load(near_chosen.indices[:, 0].tolist()),
        nearest_held_out=held_out.pixels.load(near_held_out.indices[:, 0].tolist()),
        training_distances=near_chosen.distances[:, 0].numpy(),
        held_out_distances=near_held_out.distances[:, 0].numpy(),
        prompts=sample_prompts(run.store, directory, count) or (),
    )


def _feature_maps(run: Run, selections: Selections) -> Iterator[FeatureMap]:
    """Yield the map of one class: the first one, unless its features are missing."""
    view = run.selection_view()
    for name, first in islice(_by_name(selections).items(), 1):
        if view.is_there(run.store, name):
            yield class_map(view.read(run.store, name).features, first)


def _loss_curves(run: Run) -> Iterator[LossCurve]:
    for model, method in run.trainings():
        name = f"{run.training_directory(model, method)}/{CURVE_FILE}"
        curve = loss_curve(model, method, run.store.read_lines(name, LossPoint))
        if curve is not None:
            yield curve
