"""The command that measures every figure of a GPU is ready before there is one."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.gpu_all.cases import Case, Setting
from benchmarks.gpu_all.plan import GOALS, PLAN, allotted
from benchmarks.gpu_all.profiling import kind_of
from benchmarks.gpu_all.records import Recorder, flat_figures, read_lines
from benchmarks.gpu_all.runner import measure_case, part_cases

MISSING = ("ray", "diffusers", "torch_fidelity", "ot", "sklearn", "plotly", "fastapi")
"""Packages that a bare machine does not have."""
BLOCKED = (
    "import runpy, sys; sys.modules.update(dict.fromkeys({missing!r})); "
    "runpy.run_module('benchmarks.gpu_all', run_name='__main__', alter_sys=True)"
)
REHEARSAL_SECONDS = 90


def test_every_case_has_a_name_of_its_own_and_a_time() -> None:
    for part in PLAN:
        cases = part_cases(part)
        assert len({case.name for case in cases}) == len(cases) > 0
        assert all(case.seconds > 0 for case in cases)


def test_every_goal_is_of_a_planned_case() -> None:
    planned = {f"{part.name}/{case.name}" for part in PLAN for case in part_cases(part)}
    assert {goal.rpartition("/")[0] for goal in GOALS} <= planned


@pytest.mark.parametrize("seconds", [240.0, 420.0])
def test_the_first_case_of_each_part_fits_into_its_time(seconds: float) -> None:
    left = seconds
    for part in PLAN:
        share = allotted(part, PLAN, left)
        assert part_cases(part)[0].seconds <= share
        left -= share
    assert left == pytest.approx(0)


def test_a_case_that_fails_is_written_down_and_counted(tmp_path: Path) -> None:
    def out_of_memory(setting: Setting) -> dict[str, float]:
        raise MemoryError("no room for 80 GB")

    path = tmp_path / "lines.jsonl"
    setting = Setting("cpu", rehearse=True, deadline=time.monotonic() + 60)
    recorder = Recorder(path, "training")
    measure_case(Case("large", 1, out_of_memory), setting, recorder)
    measure_case(Case("small", 1, lambda _: {"images_per_s": 5.0}), setting, recorder)
    figures = flat_figures(path)
    assert figures["failed"] == {"training/large": "MemoryError: no room for 80 GB"}
    assert (figures["failed_cases"], figures["skipped_cases"]) == (1, 0)
    assert figures["training/small/images_per_s"] == 5.0


def test_a_line_cut_off_by_a_killed_process_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    Recorder(path, "training").write("small", figures={"images_per_s": 5.0})
    with path.open("a") as file:
        file.write('{"part": "training", "ca')
    assert [line["case"] for line in read_lines(path)] == ["small"]


@pytest.mark.parametrize(
    ("kernel", "kind"),
    [
        ("nvjet_tst_256x128_64x4_1x2_h_bz_coopA_TNT", "products"),
        ("void pytorch_flash::flash_fwd_kernel<Flash_fwd_kernel_traits>", "attention"),
        ("triton_per_fused__to_copy_add_mul_native_layer_norm_0", "fused"),
        ("void at::native::multi_tensor_apply_kernel<FusedAdamMathFunctor>", "optimizer"),
        ("void at::native::vectorized_elementwise_kernel<4>", "other"),
    ],
)
def test_kernels_are_sorted_by_kind(kernel: str, kind: str) -> None:
    assert kind_of(kernel) == kind


@pytest.mark.slow
def test_the_rehearsal_measures_every_case_on_a_bare_machine(tmp_path: Path) -> None:
    output = tmp_path / "lines.jsonl"
    command = [
        *(sys.executable, "-c", BLOCKED.format(missing=MISSING), "--rehearse"),
        *("--seconds", str(REHEARSAL_SECONDS), "--output", str(output)),
    ]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": "."}
    result = subprocess.run(command, capture_output=True, text=True, env=environment)
    record = json.loads(result.stdout.splitlines()[-1])
    assert result.returncode == 0, record["figures"].get("failed")
    assert record["figures"]["skipped_cases"] == 0
    measured = {(line["part"], line["case"]) for line in read_lines(output) if "figures" in line}
    assert measured == {(part.name, case.name) for part in PLAN for case in part_cases(part)}
