"""The sets of an evaluation as features in the run directory: what to encode, and where it lies."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jobs.judging.run_images import HeldOutImages, SampledImages, chosen_table
from jobs.run_directory.identity import identity
from jobs.run_directory.listing import run_listing
from jobs.run_directory.run import Run
from otcondense.evaluation import Reference, npz_count
from otcondense.evaluation.encoding import PARTS
from otcondense.store import fingerprint, hash8, read_manifest
from pipeline.judged_parts import Part, PixelFile, parts_of
from pipeline.judged_sets import ListedSet, StoredFeatures
from pipeline.judged_work import JudgedWork
from pipeline.judges import JudgeConfig
from pipeline.represent import chosen_listing

ROOT = "evaluation"
"""Folder of the features."""
FEATURES_ONLY = ("features",)


@dataclass(frozen=True)
class StoredSets:
    """The sets of an evaluation through one network; each is encoded once for all its uses."""

    run: Run
    judge: JudgeConfig
    held_out_images: HeldOutImages
    apart: str
    """Part of the names of directories, for processes that share a run directory.

    Held-out images and the reference are the same for all of them: encode these first.
    """

    def held_out(self) -> ListedSet:
        """Return the held-out images."""
        source = self.held_out_images.source
        directory = self._shared_directory("held_out", [identity(source)])
        work = self._work(source.max_pixels, is_chosen=False)
        return ListedSet(self.run.store, directory, self.held_out_images.listing, work)

    def chosen(self, methods: Sequence[str]) -> ListedSet:
        """Return the images that are in any of some subsets.

        Raises: InputError if a subset is missing.
        """
        run = self.run
        source = run.config.source
        key = [identity(source), [run.selection_key(method) for method in methods]]
        listing = chosen_listing(run_listing(run), chosen_table(run, methods))
        work = self._work(source.max_pixels, is_chosen=True)
        return ListedSet(run.store, self._directory("chosen", key), listing, work)

    def samples(self, samples: SampledImages, *, has_reference: bool) -> list[Part]:
        """Return the parts of the samples of a checkpoint.

        Args:
            samples: of the checkpoint.
            has_reference: whether they are also measured by ADM's protocol.
        """
        outputs = PARTS if has_reference else PARTS[:2]
        name = "-".join(samples.directory.split("/")[1::2])
        directory = self._directory(name, [samples.directory, list(outputs)])
        return parts_of(directory, samples.files, outputs, self.judge)

    def reference(self, reference: Reference) -> list[Part]:
        """Return the one part of the images of ADM's reference, which are in one file."""
        path = reference.statistics.path
        state = Path(path).stat()
        content = fingerprint([reference.sha256, state.st_size, state.st_mtime_ns])
        file = PixelFile(str(Path(path).absolute()), content, npz_count(path))
        directory = self._shared_directory("reference", [reference.sha256])
        return parts_of(directory, [file], FEATURES_ONLY, self.judge)

    def of_method(self, chosen: ListedSet, method: str) -> StoredFeatures:
        """Return the features of one subset, in the order of its manifest."""
        manifest = read_manifest(self.run.store, self.run.manifest(method))
        return StoredFeatures(chosen.files, tuple(manifest.column("image_id").to_pylist()))

    def _work(self, max_pixels: int, *, is_chosen: bool) -> JudgedWork:
        return JudgedWork(self.judge, self.run.config.pixels.shape, max_pixels, is_chosen)

    def _directory(self, name: str, key: list[Any]) -> str:
        return self._named(name, key, self.apart)

    def _shared_directory(self, name: str, key: list[Any]) -> str:
        return self._named(name, key, "")

    def _named(self, name: str, key: list[Any], apart: str) -> str:
        judge = self.judge
        settings = None if judge.encoder is None else judge.encoder.identity()
        shape = list(self.run.config.pixels.shape)
        whole = [*key, judge.name, settings, judge.batch_size, shape, apart]
        return f"{ROOT}/{name}-{judge.name.replace('/', '-')}-{hash8(whole)}"
