"""Each worker imports only the libraries that its stage needs."""

import subprocess
import sys

import pytest

HEAVY = frozenset(
    {"diffusers", "ot", "pandas", "plotly", "ray", "timm", "torch", "torchvision", "transformers"}
)
NEEDED = {
    "actors.pool_config": frozenset(),
    "actors.units": frozenset(),
    "actors.selector": frozenset({"ray", "torch", "ot"}),
    "actors.sampler": frozenset({"ray", "torch"}),
    "actors.scorer": frozenset({"torch"}),
    "actors.extractor": frozenset({"torch"}),
}
"""The heavy libraries that each module may import at its top."""


@pytest.mark.parametrize("module", NEEDED)
def test_a_worker_imports_only_what_it_needs(module: str) -> None:
    script = f"import sys, {module}; print(*sys.modules)"
    printed = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    ).stdout
    assert HEAVY & set(printed.split()) <= NEEDED[module]
