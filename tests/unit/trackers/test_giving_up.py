"""No tracker stops a run: failures, silence, missing packages; and no secret leaves with one."""

import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest
from pydantic import ValidationError

from jobs.run_directory.trackers_config import MlflowConfig, TrackersConfig, WandbConfig
from jobs.trackers import errands
from jobs.trackers.chosen import usable
from jobs.trackers.courier import Courier
from jobs.trackers.errands import Errands
from jobs.trackers.memory import FOLDER, Memory, memory_file
from jobs.trackers.shown import flat, reason, without_secrets
from jobs.trackers.tracker import Row, Subject
from otcondense.errors import InputError
from otcondense.store import Store


class Odd:
    """A tracker that does something odd in one of its methods."""

    def __init__(self, where: str, does: Callable[[], None]) -> None:
        self._where, self._does = where, does
        self.shown: list[str] = []

    def start(self, subject: Subject) -> str:
        self._did("start")
        return subject.identity or "x"

    def stage(self, name: str) -> None:
        self._did("stage")

    def values(self, group: str, values: Mapping[str, float], step: int | None) -> None:
        self._did("values")

    def table(self, name: str, rows: Sequence[Row]) -> None:
        self._did("table")

    def image(self, group: str, png: bytes, step: int) -> None:
        self._did("image")

    def file(self, name: str, data: bytes) -> None:
        self._did("file")

    def finish(self, *, failed: bool) -> str:
        self._did("finish")
        return "there"

    def _did(self, what: str) -> None:
        if what == self._where:
            self._does()
        self.shown.append(what)


def fail() -> None:
    raise OSError(28, "No space left on device")


def leave() -> None:
    raise SystemExit("a library that leaves the process")


def show(tracker: Odd, root: Path, close_seconds: float = 30) -> str:
    store = Store(str(root))
    memory = Memory(store, memory_file("odd"))
    courier = Courier(tracker, "Odd", memory, Subject("run", {}, store), close_seconds)
    courier.stage("train")
    courier.values("a", {"b": 1.0})
    courier.image("a", b"", 1)
    courier.table("a", [{"b": 1.0}])
    courier.file("a", b"")
    courier.keep()
    return courier.close(failed=False)


METHODS = ("start", "stage", "values", "image", "table", "file", "finish")


@pytest.mark.parametrize("where", METHODS)
@pytest.mark.parametrize(
    ("does", "words"), [(fail, "No space left"), (leave, "leaves the process")]
)
def test_a_failure_is_one_warning_and_the_end(
    where: str,
    does: Callable[[], None],
    words: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    tracker = Odd(where, does)
    assert show(tracker, tmp_path) == ""
    assert tracker.shown == list(METHODS[: METHODS.index(where)])
    (record,) = caplog.records
    assert "Odd is given up, the run goes on without it" in record.message
    assert words in record.message


def test_a_tracker_that_does_not_answer_is_left_at_the_end(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    answers = threading.Event()
    assert show(Odd("values", lambda: bool(answers.wait(60)) and None), tmp_path, 0.05) == ""
    answers.set()
    assert "does not answer within 0.05 s at the end" in caplog.text


def test_what_waits_is_bounded(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(errands, "MOST_WAITING", 3)
    answers = threading.Event()
    waiting = Errands("Odd", close_seconds=30)
    for _ in range(9):
        waiting.send(lambda: bool(answers.wait(60)) and None)
    answers.set()
    assert not waiting.close()
    assert caplog.text.count("it does not answer, 3 values wait") == 1


def test_a_damaged_memory_begins_again(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    assert show(Odd("", fail), tmp_path) == "there"
    assert Memory(store, memory_file("odd")).identity == "x"
    store.write_bytes(memory_file("odd"), b"{")
    assert Memory(store, memory_file("odd")).identity == ""
    tracker = Odd("", fail)
    assert show(tracker, tmp_path) == "there"
    assert tracker.shown == list(METHODS)
    again = Odd("", fail)
    assert show(again, tmp_path) == "there"
    assert again.shown == ["start", "stage", "finish"]


@pytest.mark.parametrize("package", ["wandb", "mlflow"])
def test_a_missing_package_is_named_before_anything_runs(
    package: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Where an earlier start used it, the run goes on without."""
    monkeypatch.setitem(sys.modules, package, None)
    config = TrackersConfig(wandb=WandbConfig(), mlflow=MlflowConfig())
    store = Store(str(tmp_path))
    message = rf"trackers.{package} needs the package {package}; install it: .*\[{package}\]"
    with pytest.raises(InputError, match=message):
        usable(config, store, FOLDER)
    Memory(store, memory_file(package)).begin("x")
    assert usable(config, store, FOLDER) == [name for name in config.names if name != package]
    assert "is left out, the run goes on without it" in caplog.text


@pytest.mark.parametrize(
    "uri",
    [
        "https://me:pass@host/x",  # pragma: allowlist secret
        "postgresql://me:pass@host/db",  # pragma: allowlist secret
        "https://host?token=abc",
    ],
)
def test_a_password_in_the_address_is_refused_and_not_repeated(uri: str) -> None:
    with pytest.raises(ValidationError, match="MLFLOW_TRACKING_PASSWORD") as error:
        MlflowConfig(uri=uri)
    assert "pass@" not in error.value.errors()[0]["msg"]


def test_secrets_are_left_out_of_settings_and_reasons(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {"a": {"b": "hf_0123456789abcdefgh", "c": [1, "s3://k:v@h"]}, "d": 2, "e": None}
    plain = without_secrets(settings)
    assert plain == {"a": {"c": [1]}, "d": 2, "e": None}
    assert dict(flat(plain)) == {"a.c": "[1]", "d": "2"}
    monkeypatch.setenv("WANDB_API_KEY", "0123456789")
    address = "https://me:pass@host"  # pragma: allowlist secret
    for text in ("wrong key 0123456789", f"cannot reach {address}"):
        assert reason(OSError(text)) == "OSError, whose message holds a secret and is not shown"
    assert reason(OSError("full\nmore")) == "OSError: full"
    assert len(reason(OSError("x" * 10_000))) < 400
