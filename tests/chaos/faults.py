"""What can go wrong, and the n-th fault of a seed."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

STAGES = ("extract", "select", "train", "sample", "evaluate")
WORKERS = {
    "extract": ("encoder", "regrouper"),
    "select": ("selector", "board"),
    "train": ("rank", "controller"),
    "sample": ("sampler",),
}
"""The processes of each stage beside the driver."""
WEIGHTS = {
    "flip": 90,
    "obstacle": 60,
    "log": 40,
    "write": 26,
    "damage": 26,
    "link": 24,
    "source": 24,
    "export": 12,
    "driver": 8,
    "worker": 8,
    "limit": 6,
    "disk_full": 6,
    "ray": 5,
    "clock": 3,
    "storage": 3,
    "slow": 2,
    "hang": 2,
    "two_drivers": 2,
    "memory": 2,
    "node_loss": 2,
    "head_restart": 2,
    "sweep": 2,
}
"""How often each kind is drawn."""


@dataclass(frozen=True)
class Fault:
    """One fault: enough to do it again."""

    kind: str
    stage: str
    settings: dict[str, Any]

    @property
    def name(self) -> str:
        return " ".join(
            [self.kind, self.stage, *(f"{key}={value}" for key, value in self.settings.items())]
        )


def draw(seed: int, number: int, files: Sequence[str]) -> Fault:
    """Return fault `number` of a seed.

    Args:
        seed: of the series.
        number: from 0; the same fault whichever others are done.
        files: names of all results of an undisturbed run.
    """
    dice = random.Random(f"{seed}/{number}")
    kind = dice.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
    return DRAWS[kind](dice, files)


MARKERS = ("run.json", "config.yaml", "report.html")
"""Files of a run that are no results."""
FOLDERS_SHARE = 0.4
"""How often an obstacle takes the place of a folder."""
LOGS = (
    "logs/stages.jsonl",
    "logs/progress/*.json",
    "logs/training/*/steps.jsonl",
    "logs/training/*/tensorboard/*",
)
HARM = ("truncated", "emptied", "flipped", "missing", "swapped")
IN_PLACE_OF_A_FILE = ("folder", "full folder", "pipe", "broken link", "circle")
IN_PLACE_OF_A_FOLDER = ("file", "pipe", "broken link", "circle")


def family(name: str) -> str:
    """Return what kind of file a result is."""
    if name.startswith("training/") and name.count("/") > 1:
        return name.split("/")[2] + name.rpartition(".")[2]
    return name.split("/", maxsplit=1)[0].split("-", maxsplit=1)[0] + name.rpartition(".")[2]


def stage_of(name: str) -> str:
    """Return the stage that writes a result."""
    if name.startswith(("features/", "scores/")):
        return "extract"
    if "/samples/" in name:
        return "sample"
    if "/metrics/" in name or "/quality-" in name:
        return "evaluate"
    return "train" if name.startswith("training/") else "select"


def _file(dice: random.Random, files: Sequence[str]) -> str:
    """Draw a kind of file first, so that those there are many of do not crowd out the others."""
    wanted = dice.choice(sorted({family(name) for name in files}))
    return dice.choice([name for name in files if family(name) == wanted])


def _delay(dice: random.Random, longest: float) -> float:
    return round(dice.uniform(0, longest), 2)


def _driver(dice: random.Random, _: Sequence[str]) -> Fault:
    how = dice.choice(("SIGKILL", "SIGTERM", "SIGINT", "SIGINT twice"))
    return Fault("driver", dice.choice(STAGES), {"signal": how, "delay": _delay(dice, 4)})


def _worker(dice: random.Random, _: Sequence[str]) -> Fault:
    stage, victim = dice.choice(
        [(stage, each) for stage, workers in WORKERS.items() for each in workers]
    )
    return Fault(
        "worker",
        stage,
        {
            "victim": victim,
            "signal": dice.choice(("SIGKILL", "SIGTERM")),
            "delay": _delay(dice, 1.5),
        },
    )


def _write(dice: random.Random, files: Sequence[str]) -> Fault:
    name, step = _file(dice, files), dice.choice(("open", "fsync", "torn", "rename", "renamed"))
    actions = {"torn": ("kill",), "renamed": ("kill", "exit")}.get(
        step, ("kill", "exit", "full", "broken")
    )
    return Fault(
        "write", stage_of(name), {"step": step, "action": dice.choice(actions), "file": name}
    )


def _damage(dice: random.Random, files: Sequence[str]) -> Fault:
    name = _file(dice, [*files, *MARKERS])
    return Fault(
        "damage",
        stage_of(name),
        {"how": dice.choice(HARM), "file": name, "place": round(dice.random(), 4)},
    )


def _flip(dice: random.Random, files: Sequence[str]) -> Fault:
    name = _file(dice, [*files, *MARKERS, *LOGS])
    return Fault(
        "flip", stage_of(name), {"how": "flipped", "file": name, "place": round(dice.random(), 6)}
    )


def _log(dice: random.Random, _: Sequence[str]) -> Fault:
    how = dice.choice((*HARM[:4], "folder", "pipe"))
    return Fault(
        "log",
        dice.choice(STAGES),
        {"how": how, "file": dice.choice(LOGS), "place": round(dice.random(), 4)},
    )


def _obstacle(dice: random.Random, files: Sequence[str]) -> Fault:
    name = _file(dice, [*files, *MARKERS])
    folders = name.split("/")[:-1]
    if folders and dice.random() < FOLDERS_SHARE:
        name = "/".join(folders[: dice.randint(1, len(folders))])
        return Fault(
            "obstacle",
            stage_of(f"{name}/"),
            {"what": dice.choice(IN_PLACE_OF_A_FOLDER), "file": name},
        )
    return Fault(
        "obstacle", stage_of(name), {"what": dice.choice(IN_PLACE_OF_A_FILE), "file": name}
    )


def _link(dice: random.Random, files: Sequence[str]) -> Fault:
    name = _file(dice, [name for name in files if "/" in name])
    return Fault(
        "link",
        stage_of(name),
        {"how": dice.choice(HARM), "file": name, "place": round(dice.random(), 4)},
    )


def _source(dice: random.Random, _: Sequence[str]) -> Fault:
    how = dice.choice(("touched", "copied", "rotten", "missing", "pipe", "weights"))
    return Fault("source", dice.choice(STAGES), {"how": how, "place": round(dice.random(), 4)})


def _export(dice: random.Random, _: Sequence[str]) -> Fault:
    form = dice.choice(("image_folder", "json", "webdataset", "hf", "parquet"))
    return Fault(
        "export", dice.choice(STAGES), {"format": form, "action": dice.choice(("kill", "full"))}
    )


def _limit(dice: random.Random, _: Sequence[str]) -> Fault:
    kind = dice.choice(("files", "size", "memory"))
    amount = {"files": (16, 200), "size": (0, 200_000), "memory": (2**30, 6 * 2**30)}[kind]
    return Fault("limit", dice.choice(STAGES), {"limit": kind, "amount": dice.randint(*amount)})


def _ray(dice: random.Random, _: Sequence[str]) -> Fault:
    return Fault(
        "ray",
        dice.choice(("select", "sample")),
        {
            "victim": dice.choice(("raylet", "gcs_server")),
            "signal": dice.choice(("SIGKILL", "SIGSTOP")),
            "delay": _delay(dice, 1),
        },
    )


def _timed(kind: str, longest: float, stages: Sequence[str] = STAGES) -> Any:
    return lambda dice, _: Fault(kind, dice.choice(stages), {"delay": _delay(dice, longest)})


def _disk_full(dice: random.Random, _: Sequence[str]) -> Fault:
    return Fault("disk_full", dice.choice(STAGES), {"free": round(dice.uniform(0.02, 0.9), 2)})


def _clock(dice: random.Random, _: Sequence[str]) -> Fault:
    return Fault(
        "clock",
        dice.choice(STAGES),
        {"delay": round(dice.uniform(0, 20), 1), "back": dice.choice((60, 3600, 86400, 10**7))},
    )


def _storage(dice: random.Random, _: Sequence[str]) -> Fault:
    return Fault(
        "storage",
        "select",
        {"share": round(dice.uniform(0.02, 0.3), 3), "seed": dice.randrange(1000)},
    )


def _sweep(dice: random.Random, _: Sequence[str]) -> Fault:
    victim = dice.choice(("driver", "trial"))
    return Fault(
        "sweep",
        "select",
        {"victim": victim, "signal": dice.choice(("SIGKILL", "SIGTERM")), "delay": _delay(dice, 3)},
    )


DRAWS = {
    "driver": _driver,
    "worker": _worker,
    "write": _write,
    "damage": _damage,
    "flip": _flip,
    "log": _log,
    "obstacle": _obstacle,
    "link": _link,
    "source": _source,
    "export": _export,
    "limit": _limit,
    "ray": _ray,
    "disk_full": _disk_full,
    "slow": _timed("slow", 1, ("select", "sample")),
    "hang": _timed("hang", 1, ("select", "sample")),
    "clock": _clock,
    "two_drivers": _timed("two_drivers", 8),
    "memory": _timed("memory", 1, ("select", "sample")),
    "node_loss": _timed("node_loss", 1, ("select", "sample")),
    "head_restart": _timed("head_restart", 3, ("extract", "select", "train", "sample")),
    "storage": _storage,
    "sweep": _sweep,
}
