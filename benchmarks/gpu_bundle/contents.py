"""What the bundle holds, and what the machine has by itself."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
"""Root of the checkout."""

MACHINE = (
    "torch",
    "torchvision",
    "timm",
    "numpy",
    "scipy",
    "pyarrow",
    "safetensors",
    "pandas",
    "scikit-learn",
)
"""Packages of the machine. pandas (Ray's data sets) and scikit-learn (the C_T test) have no room in
the bundle beside Ray."""
BROUGHT = (
    "filelock",
    "fsspec",
    "jinja2",
    "packaging",
    "pillow",
    "pyyaml",
    "tqdm",
    "typing-extensions",
)
"""Packages that come with those of the machine and are used directly or by a wheel."""
ROOTS = (
    "ray",
    "pydantic",
    "jaxtyping",
    "lazy-loader",
    "pot",
    "psutil",
    "tensorboardx",
    "torch-fidelity",
)
"""What `benchmarks.gpu_all` and `benchmarks.gpu_ray` import and the machine lacks."""
WHEELS = (
    *ROOTS,
    "annotated-types",
    "attrs",
    "certifi",
    "charset-normalizer",
    "click",
    "idna",
    "jsonschema",
    "jsonschema-specifications",
    "msgpack",
    "protobuf",
    "pydantic-core",
    "referencing",
    "requests",
    "rpds-py",
    "typing-inspection",
    "urllib3",
    "wadler-lindig",
)
"""The roots and all that they need."""
MOST_BYTES = 55 * 2**20
"""Largest size of the bundle."""


def canonical(name: str) -> str:
    """Return the name of a package as registries compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pinned_versions() -> dict[str, str]:
    """Return the version of every package in `constraints.txt`."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = (line.split("==") for line in lines if line and not line.startswith("#"))
    return {canonical(name): version for name, version in pins}


def requirements() -> list[str]:
    """Return the requirements of the roots in `pyproject.toml`, without extras.

    The machine may have another version than the pinned one; it stays, if it is in this range.
    """
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = [*project["dependencies"], *project["optional-dependencies"]["workflow"]]
    plain = [re.sub(r"\[.*?\]", "", line) for line in lines]
    chosen = {canonical(re.split(r"[<>=~!]", line)[0]): line for line in plain}
    return [chosen[name] for name in ROOTS]
