"""Work in one process: asked for by cluster.use_ray=false, or where Ray does not start."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from pydantic import BaseModel

from jobs.command import without_ray
from jobs.command.settings import load_config
from jobs.command.without_ray import NoRayError, on_ray_or_here, without_workers
from jobs.run_directory.config import RunConfig
from jobs.run_directory.run import Run

COUNTS = ("num_encoders", "num_actors", "num_workers")
"""Names of the settings that count workers."""


def counts_of(model: object, path: str = "") -> Iterator[tuple[str, int | None]]:
    """Yield every setting of a configuration that counts workers."""
    if isinstance(model, BaseModel):
        for name in type(model).model_fields:
            value = getattr(model, name)
            if name in COUNTS:
                yield f"{path}{name}", value
            yield from counts_of(value, f"{path}{name}.")
    elif isinstance(model, dict):
        for name, value in model.items():
            yield from counts_of(value, f"{path}{name}.")


@pytest.mark.parametrize("config", ["demo", "imagenet-10k", "fashion"])
def test_no_stage_of_any_run_has_workers(config: str) -> None:
    overrides = ["source.path=a", "held_out.path=b"] if config.startswith("imagenet") else []
    made = without_workers(load_config(f"jobs/configs/{config}.yaml", overrides))
    found = dict(counts_of(made))
    assert set(found.values()) == {0}
    every = {"extraction", "representations", "selection", "samplers", "models"}
    assert {name.partition(".")[0] for name in found} == every


def test_the_results_keep_their_names() -> None:
    config = load_config("jobs/configs/demo.yaml", [])
    with_workers, without = Run(config), Run(without_workers(config))
    for method in config.selection.subsets:
        assert with_workers.manifest(method) == without.manifest(method)
        assert with_workers.training_directory("sit", method) == without.training_directory(
            "sit", method
        )
    assert with_workers.checkpoints() == without.checkpoints()


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run on two images."""
    for number in range(2):
        (tmp_path / "images" / "a").mkdir(parents=True, exist_ok=True)
        Image.new("L", (2, 2)).save(tmp_path / "images" / "a" / f"{number}.png")
    values = {"run": str(tmp_path / "run"), "source": {"path": str(tmp_path / "images")}}
    return Run(RunConfig.model_validate(values))


def with_ray(run: Run, use_ray: bool | None) -> Run:
    cluster = run.config.cluster.model_copy(update={"use_ray": use_ray})
    return Run(run.config.model_copy(update={"cluster": cluster}))


class Command:
    """A verb that needs Ray, which does not start, unless it works in one process."""

    def __init__(self) -> None:
        self.calls: list[bool] = []

    def __call__(self, run: Run) -> int:
        uses_ray = run.config.extraction.uses_cluster
        self.calls.append(uses_ray)
        if uses_ray:
            raise NoRayError("Ray did not start in time")
        return 7


@pytest.mark.parametrize(("use_ray", "calls"), [(None, [True, False]), (False, [False])])
def test_small_work_goes_on_without_ray(
    run: Run, use_ray: bool | None, calls: list[bool], capsys: pytest.CaptureFixture[str]
) -> None:
    command = Command()
    assert on_ray_or_here(with_ray(run, use_ray), command) == 7
    assert command.calls == calls
    assert ("goes on without Ray" in capsys.readouterr().out) == (use_ray is None)


def test_large_work_and_work_that_shall_use_ray_stop(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(NoRayError):
        on_ray_or_here(with_ray(run, use_ray=True), Command())
    monkeypatch.setattr(without_ray, "SMALL_IMAGES", 1)
    with pytest.raises(NoRayError):
        on_ray_or_here(run, Command())
