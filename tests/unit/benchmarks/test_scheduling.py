"""The benchmark of scheduling times the pool as it is, without Ray here."""

from pathlib import Path

import pytest

from actors.workers import RayBackend
from benchmarks.scheduling import Measured, make_units, replayed_efficiency
from benchmarks.timed_pool import TimedProgress, WaitClock
from jobs.run_directory.bars import SELECTION_BAR
from jobs.run_directory.config import RunConfig
from jobs.run_directory.run import Run
from otcondense.store import Store, UnitProgress, progress_file, read_progress


def test_times_of_workers_are_kept_and_stay_out_of_the_progress(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    done = {"state": "done", "swaps": 3, "work_seconds": 2.0, "report_seconds": 0.5}
    with TimedProgress(store, SELECTION_BAR) as progress:
        progress.follow([UnitProgress(name="a"), UnitProgress(name="b")])
        for name in ("a", "b"):
            progress.change(name, {"state": "running"})
            progress.update(name, {"swaps": 1})
            progress.change(name, done)
    assert progress.work == {"a": 2.0, "b": 2.0}
    assert progress.reports == 1.0
    assert progress.spent > 0
    stage = read_progress(store, progress_file(SELECTION_BAR.key))
    assert [(unit.state, unit.swaps) for unit in stage.units] == [("done", 3), ("done", 3)]


def test_the_clock_times_waiting_and_gives_the_backend_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(RayBackend, "submit", lambda *_: "unit")
    monkeypatch.setattr(RayBackend, "wait", lambda *_: ["unit"])
    before = dict(vars(RayBackend))
    backend = RayBackend(lambda: pytest.fail("no actor is started"))
    clock = WaitClock()
    with clock:
        backend.submit(None, None)
        assert backend.wait(["unit"], 1.0) == ["unit"]
    assert 0 < clock.begun <= clock.ended
    assert 0 < clock.waited <= clock.ended - clock.begun
    assert dict(vars(RayBackend)) == before


def test_work_without_overhead_is_replayed_at_full_efficiency(tmp_path: Path) -> None:
    source = {"kind": "features", "path": str(tmp_path)}
    run = Run(RunConfig(run=str(tmp_path), source=source, confidence={"kind": "none"}))
    units = make_units(run, 2)
    work = {unit.name: 2.0 for unit in units}
    ideal = Measured(work, 0.0, 0.0, wall=4.0, waited=4.0, start=0.0, num_actors=1)
    costly = Measured(work, 0.0, 0.0, wall=6.0, waited=4.0, start=0.0, num_actors=1)
    assert replayed_efficiency(work, ideal, units, 2) == pytest.approx(1.0)
    assert replayed_efficiency(work, costly, units, 1) == pytest.approx(2 / 3)
