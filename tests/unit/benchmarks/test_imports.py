"""Every benchmark finds what it imports: `make test` runs none of them to its end."""

import importlib
import os
from pathlib import Path
from unittest import mock

import pytest

from benchmarks.run_all import BENCHMARKS

FOLDER = Path(__file__).parents[3] / "benchmarks"
FILES = [path.relative_to(FOLDER.parent).with_suffix("") for path in FOLDER.rglob("*.py")]
MODULES = sorted(".".join(path.parts).removesuffix(".__init__") for path in FILES)


for library in ("ray", "sklearn.base", "timm"):
    # Before the tests, as most test files do: their seconds are not those of a benchmark.
    importlib.import_module(library)


@pytest.mark.parametrize("name", MODULES)
def test_a_module_of_the_benchmarks_finds_all_that_it_imports(name: str) -> None:
    # Those that start clusters set how Ray checks tokens, which other tests must not see.
    with mock.patch.dict(os.environ):
        importlib.import_module(name)


@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_benchmark_that_run_all_starts_is_there(name: str) -> None:
    assert {f"benchmarks.{name}", f"benchmarks.{name}.__main__"} & set(MODULES)
