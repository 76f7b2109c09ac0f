"""The extraction of latents and tokens: one unit of work for each class, in a pool of actors."""

import ray

from actors.extractor import EncodeUnit, Extractor
from actors.pool import Pool, PoolOutcome, refuse_failures
from actors.workers import RayBackend
from jobs.cluster.start import start_ray
from jobs.command.progress import Progress, note
from jobs.run_directory.bars import LATENTS_BAR, TOKENS_BAR
from jobs.run_directory.run import Run
from jobs.work_units.representations import image_units
from otcondense.representations import RepresentationConfig
from otcondense.store import UnitProgress

BARS = {"latents": LATENTS_BAR, "tokens": TOKENS_BAR}


def extract_images(run: Run, kind: str, config: RepresentationConfig) -> None:
    """Extract the latents or tokens of every image that the configuration asks for.

    Raises: InputError if features or subsets are missing, or with the reason of every failed class.
    """
    units = image_units(run, kind, config)
    outcome = _run_pool(run, kind, config, units)
    refuse_failures(outcome, len(units), f"classes of {kind}")

    images = sum(len(unit.images) for unit in units)
    place = run.representation_directory(kind, config)
    finished = sum(result.get("state") == "skipped" for result in outcome.results.values())
    note(
        kind,
        f"{images} images of {len(units)} classes in {place}, {finished} of them already finished",
    )


def _run_pool(
    run: Run, kind: str, config: RepresentationConfig, units: list[EncodeUnit]
) -> PoolOutcome:
    start_ray()
    with Progress(run.store, *BARS[kind]) as progress:
        progress.follow(
            [
                UnitProgress(name=unit.name, class_name=unit.class_name, size=len(unit.images))
                for unit in units
            ]
        )
        pool = run.config.representations
        backend = RayBackend.of(ray.remote(Extractor), pool, run.store.root, kind, config)
        return Pool(backend, pool).run(units, progress.change)
