"""The deployment files as Python values, for tests."""

from pathlib import Path
from typing import Any

import yaml

CLUSTER = Path(__file__).parents[1] / "cluster"
BINARY_UNITS = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}


def documents(name: str) -> list[dict[str, Any]]:
    """Return the documents of a YAML file below `cluster/`."""
    return list(yaml.safe_load_all((CLUSTER / name).read_text()))


def ray_spec(name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a manifest, `raycluster` or `rayjob`, and the specification of its cluster."""
    (manifest,) = documents(f"kubernetes/{name}.yaml")
    return manifest, manifest["spec"].get("rayClusterSpec", manifest["spec"])


def groups(spec: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the head group and the worker groups."""
    return [spec["headGroupSpec"], *spec["workerGroupSpecs"]]


def group(spec: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the group of workers with a name, `gpu` or `cpu`."""
    (found,) = (each for each in spec["workerGroupSpecs"] if each["groupName"] == name)
    return found


def container(of: dict[str, Any]) -> dict[str, Any]:
    """Return the container of Ray in a pod of a group."""
    (found,) = of["template"]["spec"]["containers"]
    return found


def pod_resources(name: str, manifest: str = "raycluster") -> dict[str, float]:
    """Return what one pod of a group of workers has: `cpu`, `memory` in bytes, `gpu`."""
    limits = container(group(ray_spec(manifest)[1], name))["resources"]["limits"]
    return {
        "cpu": quantity(limits["cpu"]),
        "memory": quantity(limits["memory"]),
        "gpu": quantity(limits.get("nvidia.com/gpu", "0")),
    }


def quantity(text: str) -> float:
    """Return the number that Kubernetes reads in a text such as 88, 500m or 900Gi."""
    if text.endswith("m"):
        return float(text[:-1]) / 1000
    unit = BINARY_UNITS.get(text[-2:])
    return float(text) if unit is None else float(text[:-2]) * unit
