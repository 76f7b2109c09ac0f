"""Every benchmark finds what it imports: `make test` runs none of them to its end."""

import importlib
import pkgutil

import pytest

import benchmarks
from benchmarks.run_all import BENCHMARKS

MODULES = [each.name for each in pkgutil.walk_packages(benchmarks.__path__, "benchmarks.")]


for library in ("ray", "sklearn.base", "timm"):
    # Before the tests, as most test files do: their seconds are not those of a benchmark.
    importlib.import_module(library)


@pytest.mark.parametrize("name", MODULES)
def test_a_module_of_the_benchmarks_finds_all_that_it_imports(name: str) -> None:
    importlib.import_module(name)


@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_benchmark_that_run_all_starts_is_there(name: str) -> None:
    assert {f"benchmarks.{name}", f"benchmarks.{name}.__main__"} & set(MODULES)
