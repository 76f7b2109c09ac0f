"""Features for the evaluation as a kind of extraction: images in the size of the samples, judged.

An image is cropped and scaled to the size of the samples, and then resized as the network asks for.
"""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from otcondense.datasets.fast_decoding import with_channels
from otcondense.devices import DeviceSetting, resolve_device
from otcondense.encoders import InputSpec, load_encoder, weights_sha256
from otcondense.encoders.transforms import DecodedInput
from otcondense.evaluation import ImageEncoder, NamedEncoder
from otcondense.representations.tables import write_class_table
from otcondense.store import Store, fingerprint, read_array
from pipeline.images import Transform
from pipeline.judges import JudgeConfig
from pipeline.pixel_work import PixelWork
from pipeline.work import ClassRows

FEATURES = "features"
"""Name of the array of features."""
VERSION = 1


@dataclass(frozen=True)
class JudgedWork:
    """The extraction of features for the evaluation."""

    judge: JudgeConfig
    sample_shape: tuple[int, int, int]
    """Channels, height and width of the samples that the images are compared with."""
    max_pixels: int
    needs_every_image: bool
    """True for chosen images, whose hashes are known."""

    @property
    def batch_size(self) -> int:
        """Images that the network gets at once."""
        encoder = self.judge.encoder
        if encoder is None or self._resized is None:
            return self.judge.batch_size
        return encoder.batch_size

    @property
    def _resized(self) -> InputSpec | None:
        """Input of a network whose images are resized by the threads that decode them."""
        encoder = self.judge.encoder
        if encoder is None or encoder.decode_on == "gpu":
            return None
        return encoder.input_spec()

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of what the network gets."""
        spec = self._resized
        return self.sample_shape if spec is None else spec.shape

    @property
    def device(self) -> DeviceSetting:
        """Of the network, as configured."""
        return self.judge.device

    @property
    def key(self) -> str:
        """Fingerprint of all settings and weights."""
        return fingerprint(["judged", VERSION, self.judge.key, self.sample_shape, self.max_pixels])

    def transform(self) -> Transform:
        """Return what turns the bytes of an image into the input of the network."""
        read = PixelWork(self.sample_shape, self.max_pixels).transform()
        spec = self._resized
        if spec is None:
            return read

        def resized(data: bytes) -> DecodedInput:
            image = read(data)
            return replace(image, pixels=spec.fit(with_channels(image.pixels, spec.channels)))

        return resized

    def load(self, *, assigned: bool | None = None) -> "JudgeNetwork":
        """Load the network.

        Args:
            assigned: whether the cluster gave the worker a GPU; None without a cluster.

        Raises: InputError if its weights have changed since the evaluation was planned, or its GPU
            cannot be used.
        """
        encoder = self.judge.encoder
        device = resolve_device(self.judge.device, assigned=assigned, on_cpu="judge.device=cpu")
        if encoder is None or self._resized is None:
            return JudgeNetwork(self.judge.load(assigned=assigned), torch.device(device))
        self.judge.check_weights(weights_sha256(encoder))
        of_inputs = load_encoder(encoder.model_copy(update={"device": device})).encode_inputs
        network = NamedEncoder(self.judge.name, self.judge.weights_sha256, of_inputs)
        return JudgeNetwork(network, torch.device(device))

    def fingerprint_of(self, name: str, images: list[tuple[str, str]]) -> str:
        """Return the fingerprint of the file of one class: ids and hashes of its images."""
        return fingerprint([self.key, name, [list(image) for image in images]])

    def write_class(self, store: Store, directory: str, rows: ClassRows) -> None:
        """Write the features of one class."""
        table = rows.class_table({FEATURES: read_array(rows.table, FEATURES)[:, None]})
        facts = {"network": self.judge.name, "weights_sha256": self.judge.weights_sha256}
        write_class_table(store, directory, table, facts, rows.plan.fingerprint)


class JudgeNetwork:
    """A judge that gets full batches."""

    batch_transform = None

    def __init__(self, network: ImageEncoder, device: torch.device) -> None:
        self._network = network
        self._device = device

    @property
    def device(self) -> torch.device:
        """Where the network computes."""
        return self._device

    def __call__(
        self, pixels: UInt8[Tensor, "b c h w"], _class_index: Int64[Tensor, " b"]
    ) -> dict[str, Tensor]:
        """Return the features [b, d]."""
        return {FEATURES: self._network(pixels).features.float()}
