"""Check this machine, its cluster and its storage; every problem comes with a remedy."""

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from jobs.command.exit import DONE, PROBLEMS
from jobs.command.settings import load_config
from jobs.doctor.cluster import check_ray
from jobs.doctor.finding import Finding
from jobs.doctor.gpus import check_gpus, compiler_finding, needed_gpu
from jobs.doctor.machine import check_machine
from jobs.doctor.storage import check_storage
from jobs.doctor.weights import check_encoders, check_folders, check_weights
from jobs.requirements.compiler import compiling_models

MARKS = {"ok": "ok   ", "note": "note ", "wrong": "WRONG"}


@dataclass(frozen=True)
class Options:
    """What to check."""

    storage: str
    """Directory or URI below which runs are kept."""
    address: str | None = None
    """The cluster's dashboard, such as http://127.0.0.1:8265; None checks only this machine."""
    config: str | None = None
    """Configuration file whose needs are checked too."""
    overrides: tuple[str, ...] = ()
    """`key=value` settings that override it."""


def findings_of(options: Options) -> Iterator[Finding]:
    """Yield every finding.

    Raises: InputError for a mistake in the configuration.
    """
    config = None
    if options.config is not None:
        config = load_config(options.config, list(options.overrides))
    on_cluster = options.address is not None or bool(os.environ.get("RAY_ADDRESS"))
    yield from check_machine()
    yield from check_gpus()
    yield check_encoders()
    if config is not None:
        seen = torch.cuda.is_available()
        yield from needed_gpu(config, seen=seen, on_cluster=on_cluster)
    yield compiler_finding(None if config is None else compiling_models(config))
    yield from check_ray(options.address)
    yield from check_storage(options.storage, on_cluster=on_cluster)
    yield from check_folders(on_cluster=on_cluster)
    if config is not None:
        yield from check_weights(config)


def doctor(options: Options, *, as_json: bool) -> int:
    """Print every finding, as one JSON object if `as_json` is set.

    Returns: the exit status: `PROBLEMS` if something is wrong.

    Raises: InputError for a mistake in the configuration.
    """
    findings = list(findings_of(options))
    if as_json:
        print(json.dumps({"findings": [finding.to_json() for finding in findings]}))
    else:
        print_findings(findings)
    return PROBLEMS if any(finding.verdict == "wrong" for finding in findings) else DONE


def print_findings(findings: Sequence[Finding]) -> None:
    """Print one line for each finding, a second one for its remedy; what is wrong comes first."""
    order = list(MARKS)
    for finding in sorted(findings, key=lambda each: -order.index(each.verdict)):
        print(f"{MARKS[finding.verdict]} {finding.name:<26}{finding.seen}")
        if finding.remedy:
            print(f"{'':<32}-> {finding.remedy}")
    wrong = sum(finding.verdict == "wrong" for finding in findings)
    print(f"\n{wrong} wrong" if wrong else "\nnothing is wrong")
