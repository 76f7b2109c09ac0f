"""The published choices: rows of public sets in `docs/published`, with digests and measures.

`make published` writes them, of the runs behind `docs/does-selection-matter.md`; what these runs
have finished is skipped.
"""

import csv
import hashlib
import io
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import torch
from jaxtyping import Float
from joblib import Parallel, delayed

from jobs.answers.draws import DRAWN_METRICS
from jobs.command.settings import load_config
from jobs.judging.full_images import class_names, extract_held_out, held_out_run
from jobs.run_directory.run import Run
from otcondense.datasets.fashion import CLASSES
from otcondense.evaluation.encoding import EncodedImages
from otcondense.evaluation.figures import FeatureSets
from otcondense.evaluation.registry import METRICS
from otcondense.selection import SELECTORS
from otcondense.store import (
    ClassSelection,
    read_class_features,
    read_class_selection,
    read_manifest,
)

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "docs" / "published" / "fashion-mnist"
CONFIG = ROOT / "jobs" / "configs" / "fashion.yaml"
PERCENTS = {1: 10, 3: 30, 10: 100}
"""Budgets by their share of the 1,000 images of a class."""
SEEDS = range(8)
"""Those of the experiments."""
MEASURED = range(3)
"""Seeds whose choices are measured: a measurement takes several seconds."""
DRAWING = ("geometry_aware", "random", "k_center", "k_means", "zcore", "ccs", "dq")
"""Methods that draw at random (geometry_aware for its rebuilds); the others choose the same images
for every seed."""
ANY = "any"
"""In place of seeds, for a method that does not draw."""
ROWS = "rows"
"""Folder of the files of rows."""
TABLE = "subsets.csv"
DIGESTS = "SHA256SUMS"
PROCESSES = 2
"""That measure at once."""
DIGITS = 6
"""Significant digits of the measures in the table."""


@dataclass(frozen=True)
class Subset:
    """One subset of one method."""

    method: str
    percent: int
    seed: int
    rows: tuple[int, ...]
    """Rows of the original training file: classes in the order of their labels, each class in the
    order of choice."""
    run: Run
    """That chose it."""

    @property
    def file(self) -> str:
        """Name of the file of rows, in the folder of the release."""
        end = f"-seed{self.seed}" if self.method in DRAWING else ""
        return f"{ROWS}/{self.method}-{self.percent}pct{end}.txt"


def main(arguments: Sequence[str]) -> None:
    """Make the choices that are missing, and write the release.

    Args:
        arguments: settings for all runs, such as `scores.denoising.checkpoint=FOLDER` for d2c.
    """
    for verb in ("extract_features", "score"):
        _otcondense(verb, (*_settings(SELECTORS, 1, 0), *arguments))
    found: list[Subset] = []
    for percent, budget in PERCENTS.items():
        for seed in SEEDS:
            methods = SELECTORS if seed == SEEDS[0] else DRAWING
            settings = (*_settings(methods, budget, seed), *arguments)
            _otcondense("select_subset", settings)
            found += _subsets(percent, seed, settings)
    _write(found)


def _settings(methods: Iterable[str], budget: int, seed: int) -> tuple[str, ...]:
    return (
        f"selection.methods=[{','.join(methods)}]",
        f"selection.budget={budget}",
        f"selection.seed={seed}",
        "models={}",
        "judges={}",
    )


def _otcondense(verb: str, settings: Sequence[str]) -> None:
    command = [sys.executable, "-m", f"jobs.{verb}", "--config", str(CONFIG), *settings]
    subprocess.run(command, cwd=ROOT, check=True)


def _subsets(percent: int, seed: int, settings: Sequence[str]) -> Iterator[Subset]:
    """Yield the subsets of a finished selection."""
    run = Run(load_config(str(CONFIG), list(settings)))
    for method in run.config.selection.subsets:
        manifest = read_manifest(run.store, run.manifest(method))
        labels = [CLASSES.index(name) for name in manifest["class_name"].to_pylist()]
        order = np.lexsort([manifest["choice"].to_numpy(), labels])
        ids = manifest["image_id"].to_pylist()
        rows = tuple(int(PurePosixPath(ids[place]).stem) for place in order)
        yield Subset(method, percent, seed, rows, run)


def _measures(subset: Subset, held_out: Float[np.ndarray, "m d"]) -> dict[str, float]:
    """Return means over the classes of the objective, and metrics in the judge's features."""
    if subset.seed not in MEASURED:
        return {}
    run = subset.run
    directory = run.selection_directory(subset.method)
    chosen = [read_class_selection(run.store, directory, name) for name in CLASSES]
    measures = {}
    for name in ("objective", "lower_bound", "left_out_share"):
        values = [getattr(each.summary, name) for each in chosen]
        if None not in values:
            measures[name] = float(np.mean(values))
    features = np.concatenate([_of_judge(run, each) for each in chosen])
    sets = FeatureSets(_encoded(features), _encoded(held_out), run.config.evaluation)
    for metric in DRAWN_METRICS:
        value = METRICS[metric].compute(sets)
        assert value is not None, "features suffice for these metrics"
        measures[metric] = value
    return measures


def _of_judge(run: Run, chosen: ClassSelection) -> Float[np.ndarray, "k d"]:
    """Return the judge's features of the chosen images of one class."""
    directory = run.features_directory(run.config.judge_or_encoder)
    stored = read_class_features(run.store, directory, chosen.class_name)
    place = {image_id: row for row, image_id in enumerate(stored.image_ids)}
    rows = [place[chosen.image_ids[index]] for index in chosen.indices]
    return stored.features[rows]


def _held_out(run: Run) -> Float[np.ndarray, "m d"]:
    other = held_out_run(run)
    directory = extract_held_out(run, other)
    classes = [read_class_features(run.store, directory, name) for name in class_names(other)]
    return np.concatenate([each.features for each in classes])


def _encoded(features: Float[np.ndarray, "n d"]) -> EncodedImages:
    return EncodedImages(torch.tensor(features, dtype=torch.float64), None)


def _write(release: Sequence[Subset]) -> None:
    """Write the files of rows, the table and the digests."""
    shutil.rmtree(TARGET / ROWS, ignore_errors=True)
    (TARGET / ROWS).mkdir(parents=True)
    digests = {}
    for each in release:
        text = "".join(f"{row}\n" for row in each.rows)
        (TARGET / each.file).write_text(text)
        digests[each.file] = hashlib.sha256(text.encode()).hexdigest()
    (TARGET / TABLE).write_text(_table(release, digests))
    lines = [f"{digest}  {name}\n" for name, digest in sorted(digests.items())]
    (TARGET / DIGESTS).write_text("".join(lines))


def _table(release: Sequence[Subset], digests: Mapping[str, str]) -> str:
    """Return a row for each file: what it holds, its measures and its digest."""
    held_out = _held_out(release[0].run)
    measures = Parallel(n_jobs=PROCESSES)(delayed(_measures)(each, held_out) for each in release)
    measured = dict.fromkeys(name for each in measures for name in each)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["file", "method", "percent", "seed", "images", *measured, "sha256"])
    for each, own in zip(release, measures, strict=True):
        values = [own.get(name) for name in measured]
        shown = ["" if value is None else f"{value:.{DIGITS}g}" for value in values]
        seed = each.seed if each.method in DRAWING else ANY
        facts = [each.file, each.method, each.percent, seed, len(each.rows)]
        writer.writerow([*facts, *shown, digests[each.file]])
    return text.getvalue()


if __name__ == "__main__":
    main(sys.argv[1:])
