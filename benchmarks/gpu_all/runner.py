"""Runs the parts, each in a process of its own, so that none can stop or slow down the others."""

import multiprocessing
import re
import time
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from benchmarks.gpu_all.cases import Case, Setting, free_memory
from benchmarks.gpu_all.ceilings import PEAK_CASE
from benchmarks.gpu_all.plan import Part, allotted
from benchmarks.gpu_all.records import Recorder, read_lines

GRACE = 15.0
"""Seconds after its deadline at which a part is stopped."""
PRELOADED = ("timm", "torchvision")
"""Libraries that are imported once for all parts, in addition to the modules of the parts."""


@dataclass(frozen=True)
class Run:
    """What the command line asks for."""

    output: Path
    """File of the lines."""
    rehearse: bool
    match: str = ""
    """Regular expression that is found in `part/case` of the cases to measure."""

    @property
    def device(self) -> str:
        """Where to measure."""
        return "cpu" if self.rehearse else "cuda"


def part_cases(part: Part) -> list[Case]:
    """Return the cases of a part."""
    cases: list[Case] = import_module(part.module).cases()
    return cases


def measure_part(part: Part, setting: Setting, run: Run) -> None:
    """Measure the cases of one part in turn; a case that fails does not stop the others."""
    recorder = Recorder(run.output, part.name)
    for case in part_cases(part):
        if not re.search(run.match, f"{part.name}/{case.name}"):
            continue
        if setting.left < case.seconds and not setting.rehearse:
            needed = f"{setting.left:.0f} s were left of the {case.seconds:.0f} s that it may take"
            recorder.write(case.name, skipped=needed)
        else:
            measure_case(case, setting, recorder)
            free_unused(setting)


def measure_case(case: Case, setting: Setting, recorder: Recorder) -> bool:
    """Measure one case and write its line; tell whether it has figures."""
    started = time.monotonic()
    try:
        figures = case.measure(setting)
    except Exception as error:  # noqa: BLE001 - written down; the other cases go on
        recorder.failed(case.name, error)
        return False
    taken = round(time.monotonic() - started, 2)
    recorder.write(case.name, seconds=taken, figures=figures)
    return True


def free_unused(setting: Setting) -> None:
    """Free what a case has left; a device that a case has broken shows in the next case."""
    try:
        free_memory()
    except RuntimeError:
        assert setting.device == "cuda"


def nothing() -> None:
    """Do nothing: starting a process is what takes time."""


def measured_peak(output: Path) -> float | None:
    """Return the operations a second that the first part measured, if it did."""
    for line in read_lines(output):
        if (line["part"], line["case"]) == ("ceilings", PEAK_CASE) and "figures" in line:
            return float(line["figures"]["TFLOP_per_s"]) * 1e12
    return None


def run_parts(parts: tuple[Part, ...], seconds: float, run: Run) -> None:
    """Run the parts in turn until the time is used up."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, *PRELOADED, *(part.module for part in parts)])
    end = time.monotonic() + seconds
    imported = context.Process(target=nothing)  # the parts are copies of a process with torch
    imported.start()
    imported.join()
    for part in parts:
        now = time.monotonic()
        deadline = now + allotted(part, parts, max(0.0, end - now))
        setting = Setting(run.device, run.rehearse, deadline, measured_peak(run.output))
        process = context.Process(target=measure_part, args=(part, setting, run))
        process.start()
        process.join(max(0.0, deadline + setting.size(GRACE, 60.0) - time.monotonic()))
        recorder = Recorder(run.output, part.name)
        if process.is_alive():
            process.kill()
            process.join()
            recorder.write("part", failed="stopped: it ran past its time")
        elif process.exitcode:
            recorder.write("part", failed=f"the process ended with status {process.exitcode}")
