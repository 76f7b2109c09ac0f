"""What the verbs that extract latents, tokens and text share: one unit of work for each class, fed to a pool of actors."""

from typing import Any

import ray

from actors.crew import RayCrew
from actors.extractor import FOUND, Extractor
from actors.pool import Pool, refuse_failures
from jobs.cluster.start import start_ray
from jobs.command.progress import Progress, note
from jobs.run_directory.run import Run
from jobs.run_directory.stages import LATENTS_BAR, TOKENS_BAR
from jobs.work_units.representations import image_units
from otcondense.representations import (
    RepresentationConfig,
)
from otcondense.store import (
    UnitProgress,
)

BARS = {"latents": LATENTS_BAR, "tokens": TOKENS_BAR}


def extract_images(run: Run, kind: str, config: RepresentationConfig) -> None:
    """Make the latents or tokens of every image that the configuration asks for.

    Raises: InputError if features or subsets are missing, or with the reason of every class that failed.
    """
    units = image_units(run, kind, config)
    pool = run.config.representations
    start_ray()

    def make_actor() -> Any:
        return (
            ray.remote(Extractor)
            .options(num_cpus=pool.num_cpus, num_gpus=pool.num_gpus)
            .remote(run.store.root, kind, config.model_dump(mode="json"))
        )

    with Progress(run.store, *BARS[kind]) as progress:
        progress.follow(
            [
                UnitProgress(
                    name=unit["name"], class_name=unit["class_name"], size=len(unit["images"])
                )
                for unit in units
            ]
        )
        outcome = Pool(RayCrew(make_actor), pool).run(units, progress.change)
    refuse_failures(outcome, len(units), f"classes of {kind}")
    done = sum(result["step"] != FOUND for result in outcome.results.values())
    images = sum(len(unit["images"]) for unit in units)
    note(
        kind,
        f"{images} images of {len(units)} classes in {run.representation_directory(kind, config)}, {len(units) - done} finished before",
    )
