"""Time of the stages that read, decode and encode images, and of the text embeddings."""

from dataclasses import dataclass

from otcondense.forecast.hardware import GIGA, TERA, Hardware, Precision
from otcondense.forecast.stages import Stage, Term, Workers, beside


@dataclass(frozen=True)
class Network:
    """A network that encodes images."""

    flops: float
    """One image."""
    convolutional: bool
    precision: Precision = "tf32"
    """Of its products; torch's default rounds convolutions to TF32."""

    def images_per_s(self, hardware: Hardware, workers: Workers) -> float:
        """Return the images that all workers encode a second."""
        if not workers.on_gpus:
            return workers.count * hardware.core_tflops * TERA / self.flops
        speed = hardware.encoder_tflops(self.precision, convolutional=self.convolutional)
        return workers.count * speed * TERA / self.flops


@dataclass(frozen=True)
class Images:
    """Images to read and to decode."""

    count: int
    bytes_each: float
    """Mean size of a file."""
    on_gpu: bool = False
    """Whether nvJPEG decodes them."""

    def decoding(self, hardware: Hardware, workers: Workers) -> float:
        """Return the seconds to decode all images.

        Workers with GPUs share all cores, or decode on their GPUs; others decode on theirs.
        """
        if self.on_gpu and workers.on_gpus:
            return self.count / (hardware.decoded_per_gpu * workers.count)
        cores = hardware.cores if workers.on_gpus else workers.count
        return self.count / (hardware.decoded_per_core * cores)

    def reading(self, hardware: Hardware) -> float:
        """Return the seconds to read all images from the storage."""
        return self.count * self.bytes_each / (hardware.storage_gb_per_s * GIGA)


@dataclass(frozen=True)
class EncodingWork:
    """One extraction: features, latents or tokens."""

    name: str
    """Of the verb."""
    title: str
    images: Images
    network: Network
    passes: int
    """Forward passes of each image: 2 with a mirrored copy."""
    stored_bytes: int
    """Results of one image."""


def encoding_stage(work: EncodingWork, hardware: Hardware, workers: Workers) -> Stage:
    """Return the time of an extraction.

    Reading, decoding and encoding take place at the same time. On cores, decoding and encoding
    share them. The results are written by shard, then read and written once more by class.
    """
    rate = work.network.images_per_s(hardware, workers)
    encoding = Term("encoding", work.images.count * work.passes / rate)
    decoding = Term("decoding", work.images.decoding(hardware, workers))
    reading = Term("reading", work.images.reading(hardware))
    written = work.images.count * work.stored_bytes / (hardware.storage_gb_per_s * GIGA)
    stored = (Term("writing", written), Term("regrouping", 2 * written))
    if workers.on_gpus:
        terms = (*beside(reading, decoding, encoding), *stored)
    else:
        terms = (decoding, encoding, Term("reading", reading.seconds, hidden=True), *stored)
    return Stage(work.name, work.title, terms, workers)


def text_stage(
    title: str, weights_bytes: float, flops: float, hardware: Hardware, *, on_gpu: bool
) -> Stage:
    """Return the time of the text embeddings, made by one worker.

    Args:
        title: what is embedded.
        weights_bytes: size of the model's files.
        flops: arithmetic of all texts.
        hardware: where.
        on_gpu: whether the model works on a GPU.
    """
    speed = hardware.encoder_float32_tflops if on_gpu else hardware.core_tflops
    terms = (
        Term("loading", weights_bytes / (hardware.storage_gb_per_s * GIGA)),
        Term("encoding", flops / (speed * TERA)),
    )
    return Stage("extract_text", title, terms, Workers(1, on_gpu))
