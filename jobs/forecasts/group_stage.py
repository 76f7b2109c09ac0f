"""The forecast of the groups that images are selected from."""

from collections.abc import Iterator

from jobs.forecasts.image_stages import SourceFacts, extraction_workers
from jobs.run_directory.config import RunConfig
from otcondense.byte_sizes import byte_size
from otcondense.counts import counted
from otcondense.encoders.arithmetic import encoder_size
from otcondense.encoders.caption_size import caption_size
from otcondense.forecast.grouping import GroupingWork, grouping_stage
from otcondense.forecast.hardware import Hardware
from otcondense.forecast.stages import Stage

FLOAT_BYTES = 4
"""Size of a stored feature."""


def group_stages(config: RunConfig, facts: SourceFacts, hardware: Hardware) -> Iterator[Stage]:
    """Yield the time of the groups of a run that has some.

    Raises: InputError if there is no such network.
    """
    if config.groups is None:
        return
    sizes = list(facts.sizes.values())
    if config.groups.labels == "ignore":
        sizes = [facts.images]
    work = GroupingWork(sizes, _width(config, facts), config.groups.most)
    stored = byte_size(facts.images * work.width * FLOAT_BYTES)
    title = (
        f"{counted(facts.images, 'image')}, about {counted(work.groups, 'group')}, "
        f"storage: {stored} of features"
    )
    workers = extraction_workers(config.extraction, hardware, "cpu")
    yield grouping_stage(work, title, workers)


def _width(config: RunConfig, facts: SourceFacts) -> int:
    """Return the features of an image; given ones are taken to be float32."""
    if not config.source.has_images:
        return max(1, round(facts.mean_bytes / FLOAT_BYTES))
    seen = [encoder_size(each).width for each in config.selecting if each.input == "image"]
    read = [caption_size(each).width for each in config.captioning]
    return sum(seen) + sum(read)
