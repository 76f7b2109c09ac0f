"""What `--dry-run` knows about a run before it forecasts its stages: images and hardware."""

from dataclasses import dataclass

from jobs.command.progress import note
from jobs.forecasts.hardware_choice import chosen_hardware
from jobs.forecasts.image_stages import SourceFacts
from jobs.run_directory.config import RunConfig
from jobs.run_directory.listing import run_listing
from jobs.run_directory.run import Run
from otcondense.counts import counted
from otcondense.datasets import scan_images
from otcondense.encoders.arithmetic import encoder_size
from otcondense.forecast import measured
from otcondense.forecast.hardware import TERA, Hardware
from pipeline.forecast import DecodedSample, check_weights, decode_sample, encode_seconds

THREAD_SHARE = measured.DECODED_IMAGES_PER_S * measured.DECODE_CPU_SECONDS / measured.DECODE_CORES
"""Speed of a core while 16 threads decode, as a share of that of one thread alone."""


@dataclass(frozen=True)
class Known:
    """Images and hardware of a forecast."""

    facts: SourceFacts
    hardware: Hardware
    sample: DecodedSample | None
    """The images that were decoded here; None without images."""


def known_of(run: Run, on: str | None) -> Known:
    """Return what is known, and print the hardware.

    Decoding is timed here in any case, as it depends on the images. The time of networks is only
    measured for hardware without GPUs.

    Raises: InputError for hardware, a source or a network that cannot be used.
    """
    config = run.config
    hardware = chosen_hardware(on, config)
    sample = None
    if config.extracting:
        for encoder in config.extracting:
            check_weights(encoder)
        source = config.source
        note("forecast", "timing this machine ...")
        sample = decode_sample(run_listing(run), config.encoder, source.max_pixels)
        hardware = timed_here(hardware, sample, config)
    _print(hardware, config)
    return Known(_facts(run), hardware, sample)


def timed_here(hardware: Hardware, sample: DecodedSample, config: RunConfig) -> Hardware:
    """Return hardware with the speeds of a core that were timed on this machine."""
    if hardware.gpus:
        share = THREAD_SHARE
        speeds = {}
    else:
        share = 1.0
        flops = encoder_size(config.encoder).flops
        speeds = {"core_tflops": flops / encode_seconds(config.encoder) / TERA}
    speeds["decoded_per_core"] = share / sample.seconds
    return hardware.model_copy(update=speeds)


def _facts(run: Run) -> SourceFacts:
    listing = run_listing(run)
    held_out = run.config.held_out
    return SourceFacts(
        sizes=listing.sizes,
        mean_bytes=float(listing.numbers("size_bytes").sum()) / max(1, len(listing)),
        held_out=0 if held_out is None else len(scan_images(held_out)),
    )


def _origin(config: RunConfig) -> str:
    """Return where the speed of a core is from."""
    if not config.extracting:
        return "assumed"
    is_given = config.encoder.weights_file is not None and config.encoder.train is None
    return f"timed here with {'the given' if is_given else 'random'} weights"


def _print(hardware: Hardware, config: RunConfig) -> None:
    numbers = {"node": hardware.nodes, "GPU": hardware.gpus, "core": hardware.cores}
    shape = ", ".join(counted(number, noun) for noun, number in numbers.items())
    note("forecast for", f"{hardware.name}: {shape} (--on NAME chooses other hardware)")
    if hardware.gpus:
        text = "networks at speeds measured on an H100; links, storage and prices are assumed"
    else:
        text = f"networks at {hardware.core_tflops * 1e3:.3g} GFLOP/s a core, {_origin(config)}"
    note("", text)
