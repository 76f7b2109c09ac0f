"""Where a run keeps a subset and what was made from it, for programs that are not commands.

`python -m jobs.answers.places RUN METHOD` prints one line of JSON.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict

from jobs.command.exit import exit_with
from jobs.run_directory.marker import read_marker
from jobs.run_directory.opening import read_run
from jobs.run_directory.run import Run
from otcondense.datasets.records import SourceConfig, is_remote
from otcondense.errors import InputError, MissingInputError
from otcondense.near_names import did_you_mean
from otcondense.reading import with_home


class Places(TypedDict):
    """The places of a subset; names of files and directories are relative to the root."""

    root: str
    source: dict[str, object]
    """Settings of the source, as its listing is named after."""
    images: dict[str, object]
    """The same with absolute paths: the run may be read from another folder."""
    manifest: str
    latents: str
    tokens: str
    text: str
    """Directory of the embeddings of class names, or of captions."""
    captions: str
    """Texts of all images of the source; there is no such file without `source.captions`."""


def places_of(run: Run, method: str) -> Places:
    """Return the places of one subset.

    Raises: InputError if the run has no such subset, MissingInputError if it is not chosen yet.
    """
    check_method(run, method)
    manifest = run.manifest(method)
    if not run.store.exists(manifest):
        raise MissingInputError(f"there is no subset manifest {run.store.path(manifest)}", manifest)
    marker = read_marker(run.store)
    config = run.config
    return Places(
        root=run.store.root,
        source=config.source.model_dump(mode="json"),
        images=absolute(config.source, marker.directory if marker else None),
        manifest=manifest,
        latents=run.representation_directory("latents", config.latents),
        tokens=run.representation_directory("tokens", config.tokens),
        text=run.text_directory(),
        captions=run.captions_file(),
    )


def check_method(run: Run, method: str) -> None:
    """Refuse a method that is no subset of a run.

    Raises: InputError with the names that there are.
    """
    subsets = run.config.selection.subsets
    if method not in subsets:
        raise InputError(
            f"method must be one of the subsets of run {run.config.run} ({', '.join(subsets)}), "
            f"found {method}{did_you_mean(method, subsets)}"
        )


def absolute(source: SourceConfig, directory: str | None) -> dict[str, object]:
    """Return the settings of a source whose relative paths began in a directory."""
    base = Path(directory or ".")

    def moved(path: str) -> str:
        return path if is_remote(path) else str(base / with_home(path))

    values: dict[str, object] = source.model_dump(mode="json")
    values["path"] = moved(source.path)
    values["shards"] = [moved(shard) for shard in source.shards]
    if source.class_names is not None:
        values["class_names"] = moved(source.class_names)
    return values


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the places of one subset of a run, and leave the process."""
    root, method = sys.argv[1:] if arguments is None else arguments
    exit_with(lambda: print(json.dumps(places_of(read_run(root), method))))


if __name__ == "__main__":
    main()
