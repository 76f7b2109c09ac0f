"""Time of the stages that read, decode and encode images, and of those that read texts."""

from dataclasses import dataclass

from otcondense.forecast.hardware import GIGA, TERA, Hardware, Precision
from otcondense.forecast.stages import Stage, Term, Workers, beside

DOUBLE_SHARE = 0.5
"""Speed of a core in float64 as a share of that in float32: its registers hold half as many."""


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


@dataclass(frozen=True)
class ReadingWork:
    """Captions that a text network reads: as features, or to compare images with them."""

    title: str
    captions: int
    flops: float
    """Of one caption, forward."""
    stored_bytes: int
    """Results of one caption."""
    shared: int = 0
    """Captions that each worker reads first, and compares every image with."""
    width: int = 0
    """Numbers of the embedding of an image that is compared; 0 for features."""


def reading_stage(work: ReadingWork, hardware: Hardware, workers: Workers) -> Stage:
    """Return the time of the captions of a run.

    Networks read in float32. Images are compared on one core of each worker, in float64.
    """
    own = work.captions / workers.count
    encoding = (own + work.shared) * work.flops / _text_speed(hardware, workers)
    terms = [Term("encoding", encoding)]
    if work.width:
        products = 2 * own * (work.shared + 1) * work.width
        seconds = products / (DOUBLE_SHARE * hardware.core_tflops * TERA)
        terms.append(Term("comparing", seconds))
    written = work.captions * work.stored_bytes / (hardware.storage_gb_per_s * GIGA)
    return Stage("extract_features", work.title, (*terms, Term("writing", written)), workers)


def text_stage(
    title: str, weights_bytes: float, flops: float, hardware: Hardware, workers: Workers
) -> Stage:
    """Return the time of the text embeddings.

    Args:
        title: what is embedded.
        weights_bytes: size of the model's files.
        flops: arithmetic of all texts.
        hardware: where.
        workers: the devices that share the texts; each loads the model.
    """
    terms = (
        Term("loading", weights_bytes / (hardware.storage_gb_per_s * GIGA)),
        Term("encoding", flops / workers.count / _text_speed(hardware, workers)),
    )
    return Stage("extract_text", title, terms, workers)


def _text_speed(hardware: Hardware, workers: Workers) -> float:
    """Return the arithmetic a second of each GPU or core in a text network, in float32."""
    speed = hardware.encoder_float32_tflops if workers.on_gpus else hardware.core_tflops
    return speed * TERA
