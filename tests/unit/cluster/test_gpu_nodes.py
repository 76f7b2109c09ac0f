"""The deployment files give a training a whole node of eight GPUs, and all nodes the same files."""

import re
import shlex

import pytest

from jobs.command.settings import load_config
from jobs.submit.request import known_verbs
from tests.cluster_files import (
    CLUSTER,
    container,
    documents,
    group,
    groups,
    pod_resources,
    quantity,
    ray_spec,
)

MANIFESTS = ["raycluster", "rayjob"]
SHARED = ("HF_HOME", "TORCH_HOME", "TORCHINDUCTOR_CACHE_DIR")
"""Directories that all nodes must see: weights are fetched and kernels compiled once."""
COUNTS = ("num_encoders", "gpus_per_encoder", "num_actors", "num_gpus", "num_workers", "device")
SPOT_TAINTS = {"cloud.google.com/gke-spot", "kubernetes.azure.com/scalesetpriority"}
RAY_LARGEST_STORE = 200e9
"""Bytes to which Ray limits its object store by default."""


def test_both_kinds_of_cluster_are_the_same() -> None:
    assert ray_spec("raycluster")[1] == ray_spec("rayjob")[1]


@pytest.mark.parametrize("manifest", MANIFESTS)
def test_a_gpu_pod_takes_a_node_of_eight_gpus(manifest: str) -> None:
    pod = pod_resources("gpu", manifest)
    assert pod["gpu"] == 8
    assert pod["cpu"] >= 8 * 8, "each GPU needs readers that decode for it"
    assert pod_resources("cpu", manifest)["gpu"] == 0


@pytest.mark.parametrize("manifest", MANIFESTS)
def test_the_autoscaler_starts_and_releases_all_workers(manifest: str) -> None:
    _, spec = ray_spec(manifest)
    assert spec["enableInTreeAutoscaling"] is True
    assert spec["autoscalerOptions"]["idleTimeoutSeconds"] >= 300
    for workers in spec["workerGroupSpecs"]:
        assert workers["replicas"] == workers["minReplicas"] == 0
        assert workers["maxReplicas"] >= 1
        tolerated = {each["key"] for each in workers["template"]["spec"]["tolerations"]}
        assert tolerated >= SPOT_TAINTS
        assert ("nvidia.com/gpu" in tolerated) == (workers["groupName"] == "gpu")


@pytest.mark.parametrize("manifest", MANIFESTS)
def test_shared_memory_holds_the_object_store(manifest: str) -> None:
    pod = group(ray_spec(manifest)[1], "gpu")["template"]["spec"]
    (volume,) = (each for each in pod["volumes"] if each["name"] == "shm")
    assert volume["emptyDir"]["medium"] == "Memory"
    size = quantity(volume["emptyDir"]["sizeLimit"])
    store = min(0.3 * pod_resources("gpu", manifest)["memory"], RAY_LARGEST_STORE)
    assert store / 0.95 < size < pod_resources("gpu", manifest)["memory"] / 2
    mounts = pod["containers"][0]["volumeMounts"]
    assert {"name": "shm", "mountPath": "/dev/shm"} in mounts


@pytest.mark.parametrize("manifest", MANIFESTS)
def test_weights_and_kernels_are_on_storage_that_all_nodes_share(manifest: str) -> None:
    for each in groups(ray_spec(manifest)[1]):
        inside = container(each)
        assert {"name": "shared", "mountPath": "/shared"} in inside["volumeMounts"]
        variables = {entry["name"]: entry["value"] for entry in inside["env"]}
        assert [variables[name].startswith("/shared/") for name in SHARED] == [True] * 3


def test_the_shared_volume_names_its_storage_class() -> None:
    (claim,) = (
        each
        for each in documents("kubernetes/base.yaml")
        if each["kind"] == "PersistentVolumeClaim"
    )
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]
    assert claim["spec"]["storageClassName"], "the default class is mostly ReadWriteOnce"
    for each in groups(ray_spec("raycluster")[1]):
        claims = [
            volume["persistentVolumeClaim"]["claimName"]
            for volume in each["template"]["spec"]["volumes"]
            if "persistentVolumeClaim" in volume
        ]
        assert claims == [claim["metadata"]["name"]]


def test_a_ray_job_sets_no_counts_and_resumes_in_a_new_cluster() -> None:
    manifest, _ = ray_spec("rayjob")
    command = shlex.split(manifest["spec"]["entrypoint"])
    program, verb, *words = command
    assert program == "otcondense"
    assert verb in known_verbs()
    options = dict(zip(words[0:4:2], words[1:4:2], strict=True))
    config = load_config(options["--config"], words[4:], options["--run"])
    names = {word.split("=")[0].split(".")[-1] for word in words[4:]}
    assert not names & set(COUNTS), "the numbers of workers come from the cluster"
    pods = manifest["spec"]["rayClusterSpec"]["workerGroupSpecs"][0]
    assert config.cluster.gpus == pods["maxReplicas"] * pod_resources("gpu", "rayjob")["gpu"]
    assert manifest["spec"]["backoffLimit"] > 0
    assert config.run.startswith("/shared/"), (
        "the next cluster must find the files of the previous one"
    )


def test_machines_of_ray_up_have_eight_gpus() -> None:
    (config,) = documents("ray-up-aws.yaml")
    types = config["available_node_types"]
    gpus = {name: each for name, each in types.items() if each["resources"].get("GPU")}
    kinds = {each["node_config"]["InstanceType"] for each in gpus.values()}
    assert {"p5.48xlarge", "p4d.24xlarge"} <= kinds
    assert {each["resources"]["GPU"] for each in gpus.values()} == {8}
    assert {each["min_workers"] for each in gpus.values()} == {0}
    assert sum(each["max_workers"] > 0 for each in gpus.values()) == 1, "one kind at a time"
    assert config["max_workers"] == sum(each["max_workers"] for each in types.values())
    assert not any("--shm-size" in option for option in config["docker"]["run_options"])


def test_what_the_instructions_replace_is_in_the_files() -> None:
    text = (CLUSTER / "README.md").read_text()
    replacements = re.findall(r"sed -i 's#(\S+?)#\S+?#' cluster/(\S+)", text)
    assert len(replacements) == 2
    for pattern, files in replacements:
        paths = list(CLUSTER.glob(files))
        assert any(pattern in path.read_text() for path in paths), (pattern, files)
