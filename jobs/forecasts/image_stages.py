"""The forecast of the stages up to the inputs of the training."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

from jobs.forecasts.networks import (
    T5_BYTES,
    encoder_network,
    latent_size,
    text_flops,
)
from jobs.run_directory.budget_rules import resolve
from jobs.run_directory.config import RunConfig
from jobs.run_directory.groups import selected_sizes
from otcondense.counts import counted
from otcondense.encoders import EncoderConfig
from otcondense.encoders.arithmetic import encoder_size
from otcondense.forecast.encoding import EncodingWork, Images, Network, encoding_stage, text_stage
from otcondense.forecast.hardware import Hardware
from otcondense.forecast.stages import Stage, Workers, workers_of
from otcondense.representations.representation_config import RepresentationConfig
from otcondense.representations.text_config import CAPTIONS
from otcondense.representations.token_config import DINO_PATCH
from pipeline.extraction_config import ExtractionConfig
from pipeline.forecast import stored_bytes

HALF_BYTES = 2
"""Size of a number of 16 bits: of stored latents and tokens, and of rounded gradients."""


@dataclass(frozen=True)
class SourceFacts:
    """What a forecast knows about the images of a run."""

    sizes: dict[str, int]
    """Images of each class."""
    mean_bytes: float
    """Mean size of an image file."""
    held_out: int = 0
    """Held-out images; 0 if none are configured."""

    @property
    def images(self) -> int:
        """All images of the source."""
        return sum(self.sizes.values())


def extraction_workers(config: ExtractionConfig, hardware: Hardware, device: str) -> Workers:
    """Return the GPUs or cores of an extraction."""
    return workers_of(
        hardware,
        asked=config.num_encoders,
        gpus_each=0 if device == "cpu" else config.gpus_per_encoder,
        cores_each=config.cpus_per_encoder,
    )


def feature_stage(
    config: RunConfig, encoder: EncoderConfig, facts: SourceFacts, hardware: Hardware
) -> Stage:
    """Return the time of the features of one network.

    Raises: InputError if there is no such network.
    """
    work = EncodingWork(
        name="extract_features",
        title=f"{encoder.name}, {counted(facts.images, 'image')}",
        images=Images(facts.images, facts.mean_bytes, encoder.decode_on == "gpu"),
        network=encoder_network(encoder),
        passes=1,
        stored_bytes=stored_bytes(encoder_size(encoder)),
    )
    workers = extraction_workers(config.extraction, hardware, encoder.device)
    return encoding_stage(work, hardware, workers)


def selected_images(config: RunConfig, facts: SourceFacts) -> int:
    """Return how many images all subsets hold, as if no image were in two methods' subsets."""
    counts = []
    for method in config.selection.methods:
        largest = config.selection.subsets_of(method)[-1]
        sizes = selected_sizes(config, facts.sizes)
        counts.append(sum(resolve(largest.budgets[-1], sizes).values()))
    return min(facts.images, sum(counts))


def input_stages(config: RunConfig, facts: SourceFacts, hardware: Hardware) -> Iterator[Stage]:
    """Yield latents, tokens and text, as far as a training of the run needs them.

    Raises: InputError if there is no such network.
    """
    inputs = config.training_inputs
    if "latents" in inputs:
        yield _latents(config, facts, hardware)
    if "tokens" in inputs:
        yield _tokens(config, facts, hardware)
    if "text" in inputs:
        yield _texts(config, facts, hardware)


def _texts(config: RunConfig, facts: SourceFacts, hardware: Hardware) -> Stage:
    """Return the time of the text embeddings, as of flan-t5-xl; one worker embeds class names."""
    device = config.text.device
    if config.text.of == CAPTIONS:
        is_all = config.text.images == "source"
        texts, unit = (facts.images if is_all else selected_images(config, facts)), "caption"
        workers = extraction_workers(config.representations, hardware, device)
    else:
        texts, unit = len(facts.sizes), "class name"
        workers = Workers(1, on_gpus=device != "cpu" and hardware.gpus > 0)
    flops = text_flops(texts, config.text.max_tokens)
    return text_stage(counted(texts, unit), T5_BYTES, flops, hardware, workers)


def _latents(config: RunConfig, facts: SourceFacts, hardware: Hardware) -> Stage:
    settings = config.latents
    size = latent_size(settings)
    each = size.arrays * prod(size.latent_shape) * HALF_BYTES
    images = _images_of(config, settings, facts)
    work = EncodingWork(
        name="extract_latents",
        title=counted(images.count, "image"),
        images=images,
        network=Network(size.encoder_flops, size.convolutional),
        passes=1 + settings.mirror,
        stored_bytes=each * (1 + settings.mirror),
    )
    workers = extraction_workers(config.representations, hardware, settings.device)
    return encoding_stage(work, hardware, workers)


def _tokens(config: RunConfig, facts: SourceFacts, hardware: Hardware) -> Stage:
    settings = config.tokens
    model = EncoderConfig(name=settings.name, image_size=settings.model_size, num_classes=0)
    side = settings.model_size // DINO_PATCH
    each = side * side * encoder_size(model).width * HALF_BYTES
    images = _images_of(config, settings, facts)
    work = EncodingWork(
        name="extract_tokens",
        title=counted(images.count, "image"),
        images=images,
        network=encoder_network(model),
        passes=1 + settings.mirror,
        stored_bytes=each * (1 + settings.mirror),
    )
    workers = extraction_workers(config.representations, hardware, settings.device)
    return encoding_stage(work, hardware, workers)


def _images_of(config: RunConfig, settings: RepresentationConfig, facts: SourceFacts) -> Images:
    count = facts.images if settings.images == "source" else selected_images(config, facts)
    return Images(count, facts.mean_bytes)
