"""Time and cost of the paper's runs on a cluster: `python -m benchmarks.cluster_forecast`.

It is the forecast of `--dry-run` for the shipped configurations of ImageNet-1K at 256 pixels, with
all GPUs and cores at work. `--on` names other hardware, each option changes one of its fields.
"""

import argparse
from collections.abc import Sequence

from jobs.command.settings import load_config
from jobs.forecasts.hardware_choice import chosen_hardware
from jobs.forecasts.image_stages import SourceFacts
from jobs.forecasts.run_stages import run_stages
from jobs.run_directory.config import RunConfig
from otcondense.forecast.hardware import PRESETS, Hardware
from otcondense.forecast.stages import Stage, total_cost, total_seconds

IMAGES = 1_281_167
"""Training images of ImageNet-1K."""
CLASSES = 1000
HELD_OUT = 50_000
"""Its validation images."""
IMAGE_BYTES = 110e3
"""Mean size of a training image: the whole is 140 GB."""
BUDGETS = (10, 50, 100)
"""Images of each class in the paper's subsets."""
COLUMNS: dict[str, tuple[str, ...]] = {
    "features": ("extract_features",),
    "selection": ("select_subset",),
    "latents, tokens, text": ("extract_latents", "extract_tokens", "extract_text"),
    "training": ("train",),
    "sampling": ("sample",),
    "evaluation": ("evaluate",),
}
"""Stages of each column of the table."""
MINUTE = 60
HOUR = 3600
SHORT_HOURS = 2
"""Shorter times are shown in minutes."""


def imagenet() -> SourceFacts:
    """Return ImageNet-1K with classes of equal size, as far as that is possible."""
    size, larger = divmod(IMAGES, CLASSES)
    sizes = {f"class {number}": size + (number < larger) for number in range(CLASSES)}
    return SourceFacts(sizes, IMAGE_BYTES, HELD_OUT)


def paper_config(per_class: int) -> RunConfig:
    """Return the shipped configuration."""
    settings = ["source.path=imagenet/train", "held_out.path=imagenet/val"]
    return load_config(f"jobs/configs/imagenet-{per_class}k.yaml", settings)


def paper_stages(per_class: int, hardware: Hardware) -> list[Stage]:
    """Return the stages of the run of one subset of the paper."""
    return run_stages(paper_config(per_class), imagenet(), hardware)


def table(hardware: Hardware) -> str:
    """Return the forecast for 10, 50 and 100 images of each class as a Markdown table."""
    names = ["subset", *COLUMNS, "all", "cost"]
    lines = [f"| {' | '.join(names)} |", "|---" * len(names) + "|"]
    for per_class in BUDGETS:
        stages = paper_stages(per_class, hardware)
        times = [_column(stages, verbs) for verbs in COLUMNS.values()]
        cells = [f"{per_class}K", *times, _time(total_seconds(stages))]
        lines.append(f"| {' | '.join(cells)} | {total_cost(stages, hardware):.0f} |")
    return "\n".join(lines)


def _column(stages: Sequence[Stage], verbs: tuple[str, ...]) -> str:
    return _time(total_seconds(stage for stage in stages if stage.name in verbs))


def _time(seconds: float) -> str:
    if seconds >= SHORT_HOURS * HOUR:
        return f"{seconds / HOUR:.1f} h"
    return f"{seconds / MINUTE:.0f} min"


def terms(hardware: Hardware, per_class: int = BUDGETS[0]) -> str:
    """Return the terms of every stage of one run as a Markdown table, hidden ones in brackets."""
    lines = ["| stage | term | seconds |", "|---|---|---|"]
    for stage in paper_stages(per_class, hardware):
        for term in stage.terms:
            seconds = f"{term.seconds:.1f}"
            shown = f"({seconds})" if term.hidden else seconds
            lines.append(f"| {stage.name}: {stage.title} | {term.name} | {shown} |")
    return "\n".join(lines)


def _hardware() -> tuple[Hardware, bool]:
    """Return the hardware of the command line, and whether its terms are asked for."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.cluster_forecast", description=__doc__
    )
    parser.add_argument(
        "--on", default="8xH100", help=f"{', '.join(PRESETS)} or a .yaml file [8xH100]"
    )
    parser.add_argument("--terms", action="store_true", help="the terms of the 10K run instead")
    for name, field in Hardware.model_fields.items():
        option = f"--{name.replace('_', '-')}"
        meaning = f"{field.description} [{field.default}]".replace("%", "%%")
        parser.add_argument(option, type=type(field.default), help=meaning)
    options = vars(parser.parse_args())
    shows_terms = options.pop("terms")
    start = chosen_hardware(options.pop("on"), paper_config(BUDGETS[0]))
    changed = {name: value for name, value in options.items() if value is not None}
    return Hardware.model_validate({**start.model_dump(), **changed}), shows_terms


def main() -> None:
    """Print the table, or the terms of one run, and the hardware."""
    hardware, shows_terms = _hardware()
    print(terms(hardware) if shows_terms else table(hardware))
    print()
    for name, value in hardware.model_dump().items():
        print(f"{name}: {value}")


if __name__ == "__main__":
    main()
