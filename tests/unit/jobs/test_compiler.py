"""A run whose models cannot be compiled on this machine fails before its first stage."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from jobs.command.settings import load_config
from jobs.requirements.compiler import (
    check_compiler,
    compiling_models,
    find_compiler,
    find_headers,
    missing_tools,
)
from jobs.run.command import run_all
from jobs.run_directory.run import Run
from otcondense.diffusion.checkpoint_state import STATE_FILE, checkpoint_directory
from otcondense.errors import InputError
from tests.generators.images import write_images

MakeRun = Callable[..., Run]


def tool(folder: Path, name: str) -> str:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize(
    ("tools", "variable", "expected"),
    [
        (("gcc", "clang"), None, "gcc"),
        (("clang",), None, "clang"),
        ((), None, None),
        (("gcc", "mine"), "mine", "mine"),
        (("gcc",), "/nowhere/cc", None),
    ],
)
def test_the_compiler_is_the_one_that_triton_calls(
    tools: tuple[str, ...], variable: str | None, expected: str | None, tmp_path: Path
) -> None:
    paths = {name: tool(tmp_path / "bin", name) for name in tools}
    environment = {"PATH": str(tmp_path / "bin")}
    if variable is not None:
        environment["CC"] = variable
    found = find_compiler(environment)
    assert found == (None if expected is None else paths[expected])
    (tmp_path / "Python.h").write_text("")
    assert bool(missing_tools(environment, str(tmp_path))) == (expected is None)


def test_headers_are_needed_too(tmp_path: Path) -> None:
    environment = {"PATH": str(Path(tool(tmp_path / "bin", "gcc")).parent)}
    assert find_headers(str(tmp_path)) is None
    assert missing_tools(environment, str(tmp_path)) == ["Python's headers (Python.h)"]


@pytest.fixture
def make_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MakeRun:
    """Makes a run with one model, on a machine with a GPU and without a compiler."""
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setenv("PATH", str(tmp_path))
    for name in ("CC", "RAY_ADDRESS"):
        monkeypatch.delenv(name, raising=False)

    def make(**training: object) -> Run:
        settings = {"compile_blocks": True, "num_steps": 5, "checkpoint_steps": [], **training}
        values = {
            "run": str(tmp_path / "run"),
            "source": {"path": str(write_images(tmp_path / "images"))},
            "selection": {"budget": 2},
            "models": {"tiny": {"training": settings, "sampling": {}}},
        }
        (tmp_path / "c.yaml").write_text(yaml.safe_dump(values))
        return Run(load_config(str(tmp_path / "c.yaml"), []))

    return make


def test_nothing_is_computed_before_the_missing_compiler_is_named(make_run: MakeRun) -> None:
    run = make_run()
    with pytest.raises(InputError, match=r"models\.tiny compiles .* needs a C compiler"):
        run_all(run)
    assert not Path(run.store.root).exists()


@pytest.mark.parametrize("training", [{"compile_blocks": False}, {"device": "cpu"}])
def test_other_trainings_need_no_compiler(training: dict[str, object], make_run: MakeRun) -> None:
    run = make_run(**training)
    assert compiling_models(run.config) == []
    check_compiler(run)


def test_a_cluster_is_not_judged_by_this_machine(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    check_compiler(make_run())


def test_a_finished_training_needs_no_compiler(make_run: MakeRun) -> None:
    run = make_run()
    for model, method, step in run.checkpoints():
        place = checkpoint_directory(run.training_directory(model, method), step)
        run.store.write_bytes(f"{place}/{STATE_FILE}", b"{}")
    check_compiler(run)
