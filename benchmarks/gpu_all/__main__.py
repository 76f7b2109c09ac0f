"""`python -m benchmarks.gpu_all --seconds 420 [--rehearse] [--only training sampling]`.

Needs one GPU, torch, torchvision, timm, numpy, scipy, pyarrow, safetensors, pydantic, jaxtyping and
lazy-loader; no network, no Ray, no diffusers. `--rehearse` runs everything tiny on the CPU.
"""

import argparse
import json
import sys
from pathlib import Path

from benchmarks.gpu_all.plan import GOALS, PLAN
from benchmarks.gpu_all.records import flat_figures
from benchmarks.gpu_all.runner import Run, run_parts
from benchmarks.harness import finish


def arguments() -> argparse.Namespace:
    """Return the arguments of the command line."""
    names = [part.name for part in PLAN]
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=420, help="time for all parts")
    parser.add_argument("--rehearse", action="store_true", help="everything tiny, on the CPU")
    parser.add_argument("--only", nargs="+", choices=names, default=names, help="these parts alone")
    parser.add_argument("--match", default="", help="regular expression in part/case to measure")
    parser.add_argument(
        "--output", type=Path, default=Path("gpu_all.jsonl"), help="file of the lines"
    )
    return parser.parse_args()


def main() -> None:
    """Measure, print and judge."""
    options = arguments()
    options.output.unlink(missing_ok=True)
    parts = tuple(part for part in PLAN if part.name in options.only)
    run_parts(parts, options.seconds, Run(options.output, options.rehearse, options.match))
    figures = flat_figures(options.output)
    goals = {} if options.rehearse else GOALS
    bounds = {name: goal for name, goal in goals.items() if name in figures}
    bounds["failed_cases"] = {"at_most": 0}
    for outcome in ("failed", "skipped"):
        print(f"{outcome}: {json.dumps(figures.get(outcome, {}), indent=1)}")
    if not finish("gpu_all", figures, bounds):
        sys.exit(1)


if __name__ == "__main__":
    main()
