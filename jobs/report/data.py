"""What the report of a run shows, read from the run's files."""

from collections.abc import Iterator

import numpy as np
import torch
import yaml

from jobs.evaluate.stage import read_metrics, read_subset_quality
from jobs.judging.views import Evaluation, chosen_images
from jobs.run_directory.opening import describe
from jobs.run_directory.run import CURVE_FILE, Run
from jobs.run_directory.stage_log import stage_seconds
from otcondense.diffusion.samples import read_samples
from otcondense.encoders import weights_sha256
from otcondense.evaluation import nearest_neighbours
from otcondense.report import (
    ClassCard,
    ClassSheet,
    FeatureMap,
    LossCurve,
    MetricRow,
    ObjectiveHistory,
    Published,
    ReportData,
    SampleSheet,
    StageTime,
    SubsetRow,
    published_for,
)
from otcondense.store import (
    ClassSelection,
    class_file,
    read_class_features,
    read_class_selection,
    read_manifest,
)

SHEET_CLASSES = 20
"""Classes whose chosen images are shown; the first of the source."""
SHEET_SAMPLES = 30
"""Samples that are shown beside their nearest images."""
HISTORY_CLASSES = 5
"""Classes whose objective is drawn."""
PUBLISHED_SAMPLES, PUBLISHED_GUIDANCE = 50_000, 1.5


def collect(run: Run) -> ReportData:
    """Return everything that the run has so far; results that are missing are left out of the report.

    Raises: InputError if images of the source that are to be shown are gone or have changed.
    """
    selections = _selections(run)
    return ReportData(
        title=f"OTCondense: {run.config.run}",
        facts=_facts(run, selections),
        metrics=tuple(_metric_rows(run)),
        subsets=tuple(_subset_rows(run)),
        class_sheets=tuple(_class_sheets(run, selections)),
        class_cards=tuple(_class_cards(run, selections)),
        published=_published(run, selections),
        protocol_differences=tuple(_protocol_differences(run)),
        sample_sheets=tuple(_sample_sheets(run)),
        feature_maps=tuple(_feature_maps(run, selections)),
        histories=tuple(_histories(selections)),
        loss_curves=tuple(_loss_curves(run)),
        stage_times=tuple(StageTime(name, seconds) for name, seconds in stage_seconds(run).items()),
        config_yaml=yaml.safe_dump(
            run.config.model_dump(mode="json"), sort_keys=False, allow_unicode=True
        ),
        versions=describe(run)["versions"],
    )


def _selections(run: Run) -> dict[str, list[ClassSelection]]:
    """Return the finished selections of each method, by class."""
    found: dict[str, list[ClassSelection]] = {}
    for method in run.config.selection.methods:
        if run.store.exists(run.manifest(method)):
            names = dict.fromkeys(
                read_manifest(run.store, run.manifest(method)).column("class_name").to_pylist()
            )
            found[method] = [
                read_class_selection(run.store, run.selection_directory(method), name)
                for name in names
            ]
    return found


def _facts(run: Run, selections: dict[str, list[ClassSelection]]) -> dict[str, str]:
    source = run.config.source
    facts = {
        "source": source.path
        if source.has_images
        else f"{source.path} (features without images, so none are shown)"
    }
    for method, classes in selections.items():
        facts["classes"] = f"{len(classes):,}"
        facts["images"] = f"{sum(len(each.image_ids) for each in classes):,}"
        facts["chosen"] = f"{sum(len(each.indices) for each in classes):,}"
        proven = sum(bool(each.summary["swap_optimal"]) for each in classes)
        if proven:
            facts[f"{method}: proven swap-optimal"] = f"{proven:,} of {len(classes):,} classes"
    return facts


def _metric_rows(run: Run) -> Iterator[MetricRow]:
    """Yield the figures of every checkpoint, those of each further judge as a model of its own."""
    for row in read_metrics(run):
        place = {key: row[key] for key in ("method", "num_samples", "num_held_out")} | {
            "steps": row["step"]
        }
        yield MetricRow(
            model=row["model"],
            values=row["values"],
            encoder=row["encoder"],
            encoder_sha256=row["encoder_sha256"],
            **place,
        )
        for name, judge in run.config.judges.items():
            own = {
                key.removeprefix(f"{name}."): value
                for key, value in row["values"].items()
                if key.startswith(f"{name}.")
            }
            weights = weights_sha256(judge)
            yield MetricRow(
                model=f"{row['model']} seen by {name}",
                values=own,
                encoder=judge.name,
                encoder_sha256=weights,
                **place,
            )


def _subset_rows(run: Run) -> Iterator[SubsetRow]:
    for method, values in read_subset_quality(run).items():
        figures = {name: value for name, value in values.items() if not name.startswith("num_")}
        yield SubsetRow(method, int(values["num_images"]), int(values["num_held_out"]), figures)


def _class_sheets(run: Run, selections: dict[str, list[ClassSelection]]) -> Iterator[ClassSheet]:
    if not run.config.source.has_images:
        return
    chosen = {method: chosen_images(run, method) for method in selections}
    for selection in next(iter(selections.values()), [])[:SHEET_CLASSES]:
        rows = {
            method: [
                row
                for row, image in enumerate(each.wanted)
                if image.class_index == selection.class_index
            ]
            for method, each in chosen.items()
        }
        yield ClassSheet(
            selection.class_name,
            {method: each.load(rows[method]) for method, each in chosen.items()},
        )


def _class_cards(run: Run, selections: dict[str, list[ClassSelection]]) -> Iterator[ClassCard]:
    last = {
        (row["model"], row["method"]): row.get("class_frechet_distance", {})
        for row in read_metrics(run)
    }
    names = [each.class_name for each in next(iter(selections.values()), [])]
    for number, name in enumerate(names):
        for method, classes in selections.items():
            each = classes[number]
            distances = {
                model: found[name]
                for (model, trained_on), found in last.items()
                if trained_on == method and name in found
            }
            summary = each.summary
            left_out, objective, bound = (
                summary[key] for key in ("left_out_share", "objective", "lower_bound")
            )
            yield ClassCard(
                name,
                method,
                len(each.image_ids),
                len(each.indices),
                left_out,
                objective,
                bound,
                distances,
            )


def _published(run: Run, selections: dict[str, list[ClassSelection]]) -> tuple[Published, ...]:
    """Return others' figures for the same models and numbers of images."""
    names = dict.fromkeys(model.training.model.name for model in run.config.models.values())
    counts = dict.fromkeys(
        sum(len(each.indices) for each in classes) for classes in selections.values()
    )
    size = run.config.pixels.size
    return tuple(
        row for name in names for count in counts for row in published_for(name, size, count)
    )


def _protocol_differences(run: Run) -> Iterator[str]:
    if run.config.evaluation.reference is None:
        yield "this run has no figures by ADM's protocol: set evaluation.network=inception and evaluation.reference"
    for name, model in run.config.models.items():
        if model.sampling.num_samples != PUBLISHED_SAMPLES:
            yield f"{name} is measured by {model.sampling.num_samples:,} samples, the published figures by {PUBLISHED_SAMPLES:,}"
        if model.sampling.cfg_scale != PUBLISHED_GUIDANCE:
            yield f"{name} is sampled with guidance {model.sampling.cfg_scale}, the published figures with {PUBLISHED_GUIDANCE}"


def _sample_sheets(run: Run) -> Iterator[SampleSheet]:
    evaluation, rows = Evaluation(run), read_metrics(run)
    pixels = {method: chosen_images(run, method) for method in {row["method"] for row in rows}}
    for row in rows:
        judge = evaluation.judge
        model, method, step = row["model"], row["method"], row["step"]
        shown = min(SHEET_SAMPLES, row["num_samples"])
        images, _ = read_samples(run.store, run.samples_directory(model, method, step), shown)
        features = judge.encode([torch.from_numpy(images)]).features
        chosen, unseen = (
            nearest_neighbours(features, each.features)
            for each in (judge.training(method), judge.held_out)
        )
        yield SampleSheet(
            model,
            method,
            step,
            images,
            pixels[method].load(chosen.indices[:, 0].tolist()),
            judge.images.pixels.load(unseen.indices[:, 0].tolist()),
            chosen.distances[:, 0].numpy(),
            unseen.distances[:, 0].numpy(),
        )


def _feature_maps(run: Run, selections: dict[str, list[ClassSelection]]) -> Iterator[FeatureMap]:
    """Yield the map of one class: the first, unless its features are gone."""
    first = {method: classes[0] for method, classes in selections.items() if classes}
    class_name = next((each.class_name for each in first.values()), "")
    directory = run.features_directory(run.config.encoder)
    if first and run.store.exists(class_file(directory, class_name)):
        features = read_class_features(run.store, directory, class_name).features
        chosen = {method: each.indices for method, each in first.items()}
        left_out = {method: np.flatnonzero(each.assignment < 0) for method, each in first.items()}
        yield FeatureMap(class_name, features, chosen, left_out)


def _histories(selections: dict[str, list[ClassSelection]]) -> Iterator[ObjectiveHistory]:
    for method, classes in selections.items():
        for each in classes[:HISTORY_CLASSES]:
            steps = [step for step in each.summary["history"] if np.isfinite(step["objective"])]
            if steps:
                objective = np.array([step["objective"] for step in steps])
                stages = tuple(str(step["stage"]) for step in steps)
                yield ObjectiveHistory(
                    each.class_name, method, objective, stages, each.summary["lower_bound"]
                )


def _loss_curves(run: Run) -> Iterator[LossCurve]:
    for model, method in run.trainings():
        lines = run.store.read_lines(f"{run.training_directory(model, method)}/{CURVE_FILE}")
        if lines:
            steps, loss = (
                np.array([line["step"] for line in lines]),
                np.array([line["loss"] for line in lines]),
            )
            yield LossCurve(model, method, steps, loss)
