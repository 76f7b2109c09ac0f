"""The queue of Kueue admits the run of rayjob.yaml, as kustomization.yaml changes it."""

import copy
from collections import Counter
from typing import Any

import jsonschema
import pytest
import yaml

from tests.cluster_files import container, documents, groups, quantity, ray_spec
from tests.generators.kuberay import SPECS as RAY_SPECS
from tests.generators.kueue import SPECS

QUEUE_LABEL = "kueue.x-k8s.io/queue-name"


def of_kind(kind: str) -> list[dict[str, Any]]:
    return [each for each in documents("kubernetes/kueue.yaml") if each["kind"] == kind]


def patched_job() -> dict[str, Any]:
    """The RayJob after the patches (RFC 6902: add and replace) of kustomization.yaml."""
    (kustomization,) = documents("kubernetes/kustomization.yaml")
    (patch,) = kustomization["patches"]
    job = copy.deepcopy(ray_spec("rayjob")[0])
    assert patch["target"]["kind"] == job["kind"]
    for change in yaml.safe_load(patch["patch"]):
        *parents, last = change["path"].lstrip("/").split("/")
        place: Any = job
        for key in parents:
            place = place[int(key)] if isinstance(place, list) else place[key]
        assert (last in place) == (change["op"] == "replace")
        place[last] = change["value"]
    return job


def test_every_resource_has_the_fields_of_kueue() -> None:
    found = documents("kubernetes/kueue.yaml")
    assert {each["kind"] for each in found} == set(SPECS)
    for each in found:
        assert each["apiVersion"] == "kueue.x-k8s.io/v1beta2"
        jsonschema.validate(each.get("spec", {}), SPECS[each["kind"]])


@pytest.mark.parametrize("spoil", [{"cohort": "x"}, {"namespaceSelector": None}])
def test_a_misspelt_field_is_found(spoil: dict[str, Any]) -> None:
    (queue,) = of_kind("ClusterQueue")
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**queue["spec"], **spoil}, SPECS["ClusterQueue"])


def test_names_of_queues_flavours_and_namespaces_agree() -> None:
    (queue,) = of_kind("ClusterQueue")
    (local,) = of_kind("LocalQueue")
    job = patched_job()
    assert job["metadata"]["labels"][QUEUE_LABEL] == local["metadata"]["name"]
    assert job["metadata"]["namespace"] == local["metadata"]["namespace"]
    assert local["spec"]["clusterQueue"] == queue["metadata"]["name"]
    assert queue["spec"]["namespaceSelector"]["matchLabels"] == {
        "kubernetes.io/metadata.name": job["metadata"]["namespace"]
    }
    (resources,) = queue["spec"]["resourceGroups"]
    flavours = [each["name"] for each in resources["flavors"]]
    assert sorted(flavours) == sorted(
        each["metadata"]["name"] for each in of_kind("ResourceFlavor")
    )
    for each in resources["flavors"]:
        assert [quota["name"] for quota in each["resources"]] == resources["coveredResources"]


def test_the_job_waits_in_the_queue_as_a_whole() -> None:
    job = patched_job()
    jsonschema.validate(job["spec"], RAY_SPECS["RayJob"])
    assert job["spec"]["suspend"] is True
    assert job["spec"]["shutdownAfterJobFinishes"] is True, "Kueue refuses other jobs"
    cluster = job["spec"]["rayClusterSpec"]
    assert cluster["enableInTreeAutoscaling"] is False, "Kueue refuses clusters that scale"
    assert "head" not in [each["groupName"] for each in cluster["workerGroupSpecs"]]
    gpu = cluster["workerGroupSpecs"][0]
    assert gpu["groupName"] == "gpu"
    assert gpu["replicas"] == gpu["minReplicas"] == 1


def test_each_group_of_pods_fits_into_a_flavour_and_all_into_the_quota() -> None:
    job = patched_job()
    cluster = job["spec"]["rayClusterSpec"]
    pods = [(1, container(each)) for each in groups(cluster)[:1]]
    pods += [(each["replicas"], container(each)) for each in cluster["workerGroupSpecs"]]
    pods.append((1, job["spec"]["submitterPodTemplate"]["spec"]["containers"][0]))
    (queue,) = of_kind("ClusterQueue")
    (resources,) = queue["spec"]["resourceGroups"]
    left = {
        each["name"]: Counter(
            {quota["name"]: quantity(quota["nominalQuota"]) for quota in each["resources"]}
        )
        for each in resources["flavors"]
    }
    for count, inside in pods:
        wanted = Counter(
            {name: count * quantity(text) for name, text in inside["resources"]["requests"].items()}
        )
        assert set(wanted) <= set(resources["coveredResources"])
        fitting = [name for name, quota in left.items() if wanted <= quota]
        assert fitting, f"{count} x {inside['name']} fits into no flavour"
        left[fitting[0]] -= wanted


def test_the_quota_holds_the_largest_cluster_of_the_manifests() -> None:
    (queue,) = of_kind("ClusterQueue")
    total: Counter[str] = Counter()
    for flavour in queue["spec"]["resourceGroups"][0]["flavors"]:
        for quota in flavour["resources"]:
            total[quota["name"]] += quantity(quota["nominalQuota"])
    _, spec = ray_spec("raycluster")
    needed: Counter[str] = Counter()
    for each in groups(spec):
        for name, text in container(each)["resources"]["requests"].items():
            needed[name] += each.get("maxReplicas", 1) * quantity(text)
    assert needed <= total
