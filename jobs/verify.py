"""Check every file of a run against its digest, its inputs and its neighbours: `python -m jobs.verify RUN`."""

import argparse
import sys
from collections.abc import Iterator, Sequence

import yaml
from pydantic import ValidationError

from jobs.cli import MISTAKE
from jobs.config import RunConfig
from jobs.progress import note
from jobs.run_directory import Run
from jobs.settings import load_config
from jobs.verify_files import Facts, Problem, check_class_file, read_facts, read_hashes, verb_of
from otcondense.datasets import ImageRecord, scan_images
from otcondense.diffusion.checkpoint import STATE_FILE, checkpoint_directory, open_checkpoint
from otcondense.diffusion.samples import part_name, sampling_units
from otcondense.encoders import EncoderConfig
from otcondense.errors import InputError
from otcondense.store import Store, class_file, manifest_table, read_class_selection, read_manifest, selection_file
from pipeline.quarantine import read_class_quarantine

PROBLEMS = 1


def verify(run: Run) -> list[Problem]:
    """Return what is wrong with the files of a run, sorted by file; it changes nothing.

    A stage that has not been started is no problem, unless a later one has.
    """
    facts, problems = read_facts(run.store)
    problems += [problem for name, each in facts.items() for problem in check_class_file(name, each)]
    problems += _checkpoints(run)
    broken = {problem.file for problem in problems}
    later = [*_features(run, facts), *_selections(run, facts), *_manifests(run, facts, broken), *_trainings(run)]
    problems += [problem for problem in later if problem.file not in broken]
    return sorted(set(problems), key=lambda problem: (problem.file, problem.found))


def _features(run: Run, facts: dict[str, Facts]) -> Iterator[Problem]:
    """Check that every class of the source has its file, and that as many images came out as went in."""
    images = _images_by_class(run)
    selected = any(run.store.exists(run.manifest(method)) for method in run.config.selection.methods)
    for encoder in run.config.encoders:
        directory = run.features_directory(encoder)
        if not selected and not run.store.list(directory):
            continue
        for class_name, records in images.items():
            yield from _class_features(run, encoder, facts, class_name, len(records))


def _class_features(run: Run, encoder: EncoderConfig, facts: dict[str, Facts], class_name: str, expected: int) -> Iterator[Problem]:
    directory = run.features_directory(encoder)
    name = class_file(directory, class_name)
    if not run.store.exists(name):
        yield Problem(name, "the file is missing", "extract_features")
    elif name in facts:
        lost = len(read_class_quarantine(run.store, directory, class_name, facts[name].fingerprint))
        if facts[name].rows + lost != expected:
            found = f"{facts[name].rows} images and {lost} quarantined ones, the source has {expected} of class {class_name}"
            yield Problem(name, found, "extract_features")


def _images_by_class(run: Run) -> dict[str, list[ImageRecord]]:
    images: dict[str, list[ImageRecord]] = {}
    try:
        records = scan_images(run.config.source).records
    except InputError as error:
        note("verify", f"the source cannot be read, so that images are not counted ({error})")
        return {}
    for record in records:
        images.setdefault(record.class_name, []).append(record)
    return images


def _selections(run: Run, facts: dict[str, Facts]) -> Iterator[Problem]:
    """Check that each class has a selection, made from the images that have features."""
    features = run.features_directory(run.config.encoder)
    classes = [each.class_name for name, each in facts.items() if name.startswith(f"{features}/") and each.class_name]
    for method in run.config.selection.methods:
        directory = run.selection_directory(method)
        if not run.store.exists(run.manifest(method)) and not run.store.list(directory):
            continue
        for class_name in classes:
            name = selection_file(directory, class_name)
            if not run.store.exists(name):
                yield Problem(name, "the file is missing", "select_subset")
            elif name in facts and facts[name].image_ids != facts[class_file(features, class_name)].image_ids:
                yield Problem(name, "made from other images than those that have features", "select_subset")


def _manifests(run: Run, facts: dict[str, Facts], broken: set[str]) -> Iterator[Problem]:
    """Check that each manifest is what its selections say, and that its images have features with the same SHA-256."""
    for method in run.config.selection.methods:
        name, directory = run.manifest(method), run.selection_directory(method)
        parts = [each for each in facts if each.startswith(f"{directory}/class_name=")]
        if not run.store.exists(name):
            if any(method == chosen and run.store.list(run.training_directory(model, method)) for model, chosen in run.trainings()):
                yield Problem(name, "the file is missing", "select_subset")
        elif name in facts:
            yield from _manifest_rows(run, method, facts)
            if parts and not any(each.startswith(f"{directory}/") for each in broken):
                yield from _manifest_content(run, method, [str(facts[each].class_name) for each in parts])


def _manifest_content(run: Run, method: str, classes: list[str]) -> Iterator[Problem]:
    expected = manifest_table([read_class_selection(run.store, run.selection_directory(method), name) for name in classes])
    if not expected.equals(read_manifest(run.store, run.manifest(method)).replace_schema_metadata(None)):
        yield Problem(run.manifest(method), "differs from the selections of its classes", "select_subset")


def _manifest_rows(run: Run, method: str, facts: dict[str, Facts]) -> Iterator[Problem]:
    rows = read_manifest(run.store, run.manifest(method)).select(["image_id", "class_name", "sha256"]).to_pylist()
    image_ids = [row["image_id"] for row in rows]
    if len(set(image_ids)) != len(image_ids):
        yield Problem(run.manifest(method), "an image is listed twice", "select_subset")
    for class_name in sorted({row["class_name"] for row in rows}):
        name = class_file(run.features_directory(run.config.encoder), class_name)
        known = read_hashes(run.store, name) if name in facts else None
        wrong = [
            row["image_id"] for row in rows if row["class_name"] == class_name and known and known.get(row["image_id"]) != row["sha256"]
        ]
        if wrong:
            yield Problem(run.manifest(method), f"{wrong[0]} and {len(wrong) - 1} more are not images of {name}", "select_subset")


def _checkpoints(run: Run) -> list[Problem]:
    """Check the hashes of every checkpoint that is there."""
    problems = []
    places = {name.rsplit("/", 1)[0] for name in run.store.list("training") if "/checkpoints/" in name}
    for place in sorted(places):
        try:
            open_checkpoint(run.store, place)
        except InputError as error:
            problems.append(Problem(f"{place}/{STATE_FILE}", str(error), verb_of(place)))
    return problems


def _trainings(run: Run) -> Iterator[Problem]:
    """Check that what was sampled has its checkpoint, and what was measured its samples."""
    for model, method, step in run.checkpoints():
        state = f"{checkpoint_directory(run.training_directory(model, method), step)}/{STATE_FILE}"
        directory = run.samples_directory(model, method, step)
        measured = run.store.exists(run.metrics_file(model, method, step))
        if (measured or run.store.list(directory)) and not run.store.exists(state):
            yield Problem(state, "the file is missing", "train")
        for number, _ in enumerate(sampling_units(run.config.models[model].sampling)):
            if measured and not run.store.exists(f"{directory}/{part_name(number)}"):
                yield Problem(f"{directory}/{part_name(number)}", "the file is missing", "sample")


def read_run(root: str) -> Run:
    """Return the run in a directory as its `config.yaml` describes it.

    Raises: InputError if there is no run, or its configuration is damaged.
    """
    store = Store(root)
    if not store.exists("config.yaml"):
        raise InputError(f"{root} must be the directory of a run, found no config.yaml there")
    try:
        values = yaml.safe_load(store.read_bytes("config.yaml"))["configuration"]
        return Run(RunConfig.model_validate({**values, "run": root}))
    except (yaml.YAMLError, ValidationError, TypeError, KeyError, UnicodeDecodeError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{store.path('config.yaml')} is damaged ({reason}); run any stage again with its configuration file") from error


def main(arguments: Sequence[str] | None = None) -> None:
    """Print one line for each problem and leave the process: 0 none, 1 some, 2 a mistake of the user's."""
    parser = argparse.ArgumentParser(prog="python -m jobs.verify", description=__doc__)
    parser.add_argument("run", nargs="?", help="directory of the run; it is checked against its own config.yaml")
    parser.add_argument("--config", help="configuration file to check the run against, in place of its own")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="settings that override the configuration file's")
    options = parser.parse_intermixed_args(arguments)
    try:
        if options.config is None and options.run is None:
            raise InputError("name the directory of a run, or its configuration file with --config")
        run = read_run(options.run) if options.config is None else Run(load_config(options.config, options.overrides, options.run))
        problems = verify(run)
    except InputError as error:
        print(f"\nerror: {error}", file=sys.stderr)
        sys.exit(MISTAKE)
    for problem in problems:
        print(problem)
    note("verify", f"{len(run.store.list())} files, {len(problems)} problems")
    if problems:
        sys.exit(PROBLEMS)


if __name__ == "__main__":
    main()
