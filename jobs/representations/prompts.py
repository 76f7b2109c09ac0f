"""The prompts of a sampling: those of a file, or the captions of the subset."""

from collections.abc import Sequence

import numpy as np

from jobs.run_directory.captions import run_captions
from jobs.run_directory.listing import run_listing
from jobs.run_directory.run import Run
from otcondense.diffusion.inputs import Inputs, first_captions
from otcondense.diffusion.prompts import (
    Prompt,
    PromptTable,
    has_prompts,
    prompts_mark,
    read_prompts,
    write_prompts,
)
from otcondense.errors import InputError
from otcondense.store import read_manifest, stored_metadata


def prompts_of(run: Run, model: str, method: str) -> list[Prompt]:
    """Return all prompts of a sampling.

    Raises: InputError if the file of prompts, or the captions, cannot be used.
    """
    file = run.config.models[model].sampling.prompts
    if file is None:
        return _captions(run, method)
    names = run_listing(run).classes
    return read_prompts(file, {names[index]: index for index in run.chosen_classes(method)})


def _captions(run: Run, method: str) -> list[Prompt]:
    """Return the captions of a subset in the order of its manifest."""
    manifest = read_manifest(run.store, run.manifest(method))
    captions = run_captions(run, manifest.column("image_id"))
    assert captions is not None, "training.text=captions needs source.captions"
    classes = manifest.column("class_index").to_pylist()
    return [Prompt(*each) for each in zip(captions.to_pylist(), classes, strict=True)]


def mark_of(run: Run, prompts: Sequence[Prompt]) -> str:
    """Return the fingerprint of prompts, embedded by the model that embedded the captions."""
    return prompts_mark(prompts, run.config.text.identity(), weights_of_captions(run))


def weights_of_captions(run: Run) -> str:
    """Return the digest of the model that embedded the captions of a run.

    Raises: InputError if they are not embedded yet.
    """
    name = run.no_caption_file()
    metadata = stored_metadata(run.store, name)
    if metadata is None:
        raise InputError(
            f"embeddings of captions are missing: {run.store.path(name)}; "
            "run `otcondense extract_text` first"
        )
    return str(metadata["weights_sha256"])


def embed_prompts(run: Run, model: str, method: str) -> str:
    """Write the prompts of a sampling with their embeddings, unless they are there.

    As many as its samples need are embedded.

    Returns: the fingerprint of all prompts.

    Raises: InputError if the prompts, or the text model, cannot be used.
    """
    prompts = prompts_of(run, model, method)
    mark, name = mark_of(run, prompts), run.prompts_file(model, method)
    sampling = run.config.models[model].sampling
    used = prompts[: sampling.used_prompts(len(prompts))]
    if not has_prompts(run.store, name, mark, len(used)):
        texts = [each.text for each in used]
        if sampling.prompts is None:
            embeddings = _stored(run, method, len(used))
        else:
            embeddings = _embedded(run, texts)
        classes = np.array([each.class_index for each in used])
        write_prompts(run.store, name, PromptTable(texts, classes, embeddings, mark))
    return mark


def _stored(run: Run, method: str, count: int) -> np.ndarray:
    """Return the embeddings of the first captions of a subset."""
    inputs = Inputs(manifest=run.manifest(method), captions=run.text_directory())
    return first_captions(run.store, inputs, count)


def _embedded(run: Run, texts: Sequence[str]) -> np.ndarray:
    """Return the embeddings of prompts, made in this process.

    Raises: InputError if the model is not that of the captions.
    """
    from otcondense.representations import TextModel
    from otcondense.threads import one_thread

    config = run.config.text
    with one_thread():
        model = TextModel(config)
        if model.sha256 != weights_of_captions(run):
            raise InputError(
                f"prompts need the text model that embedded the captions, found other weights in "
                f"{config.model}; run `otcondense extract_text` and `otcondense train` again"
            )
        embeddings, _ = model.embed(texts, config.batch_size)
    return embeddings
