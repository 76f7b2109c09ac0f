"""Every deployment file matches the schema of its reader and the promises of the docs."""

import copy
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import jsonschema
import kubernetes_validate
import pytest
from ray.autoscaler._private.util import prepare_config, validate_config

from tests.cluster_files import CLUSTER, documents, groups, ray_spec
from tests.generators.kuberay import SPECS

KUBERNETES = "1.33"
NO_PRIVILEGES = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}


@pytest.mark.parametrize("name", ["raycluster", "rayjob"])
def test_manifests_have_the_fields_of_kuberay(name):
    manifest, spec = ray_spec(name)
    assert manifest["apiVersion"] == "ray.io/v1"
    jsonschema.validate(manifest["spec"], SPECS[manifest["kind"]])
    for group in groups(spec):
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "node"},
            "spec": group["template"]["spec"],
        }
        kubernetes_validate.validate(pod, KUBERNETES, strict=True)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda spec: spec.update(authOption={}),
        lambda spec: spec["workerGroupSpecs"][0].update(minReplica=1),
    ],
)
def test_a_misspelt_field_is_found(spoil):
    _, spec = ray_spec("raycluster")
    spoiled = copy.deepcopy(spec)
    spoil(spoiled)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(spoiled, SPECS["RayCluster"])


def test_the_base_of_a_cluster_is_valid():
    found = list(documents("kubernetes/base.yaml"))
    assert found
    for document in found:
        kubernetes_validate.validate(document, KUBERNETES, strict=True)


@pytest.mark.parametrize("name", ["raycluster", "rayjob"])
def test_every_pod_needs_the_token_and_has_no_privileges(name):
    _, spec = ray_spec(name)
    assert spec["authOptions"]["mode"] == "token"
    assert spec["rayVersion"] == metadata.version("ray")
    assert spec["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
    for group in groups(spec):
        pod = group["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in pod["containers"]:
            assert container["securityContext"] == NO_PRIVILEGES
            assert {"name": "RAY_AUTH_MODE", "value": "token"} in container["env"]
            assert container["resources"]["requests"] == container["resources"]["limits"], (
                "Ray takes its resources from the limits"
            )


def test_the_pod_that_submits_a_ray_job_is_admitted_too():
    manifest, _ = ray_spec("rayjob")
    spec = manifest["spec"]["submitterPodTemplate"]["spec"]
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "submitter"}, "spec": spec}
    kubernetes_validate.validate(pod, KUBERNETES, strict=True)
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert spec["restartPolicy"] == "Never", "a second try would submit the job twice"
    for container in spec["containers"]:
        assert container["securityContext"] == NO_PRIVILEGES


def test_only_prometheus_can_reach_the_metrics():
    (policy,) = [
        each for each in documents("kubernetes/base.yaml") if each["kind"] == "NetworkPolicy"
    ]
    open_to_all = [rule for rule in policy["spec"]["ingress"] if "from" not in rule]
    assert not open_to_all
    by_port = {
        port["port"]: rule["from"]
        for rule in policy["spec"]["ingress"]
        for port in rule.get("ports", [])
    }
    assert [str(each) for each in by_port[8080]] == [
        "{'namespaceSelector': {'matchLabels': {'kubernetes.io/metadata.name': 'monitoring'}}}"
    ]
    (monitor,) = documents("prometheus/podmonitor.yaml")
    _, spec = ray_spec("raycluster")
    for group in groups(spec):
        ports = {port["name"] for port in group["template"]["spec"]["containers"][0]["ports"]}
        assert {endpoint["port"] for endpoint in monitor["spec"]["podMetricsEndpoints"]} <= ports


def test_the_ray_up_file_has_the_fields_of_ray():
    (config,) = documents("ray-up-aws.yaml")
    validate_config(prepare_config(copy.deepcopy(config)))
    for command in (*config["head_start_ray_commands"], *config["worker_start_ray_commands"]):
        assert "ray start" not in command or command.startswith("RAY_AUTH_MODE=token ray start")
    assert config["file_mounts"]["/home/ray/.ray/auth_token"] == "~/.ray/auth_token"
    assert "chmod 600 /home/ray/.ray/auth_token" in config["setup_commands"]
    assert "--dashboard-host=127.0.0.1" in config["head_start_ray_commands"][1]
    with pytest.raises(jsonschema.ValidationError):
        validate_config({**prepare_config(copy.deepcopy(config)), "max_worker": 3})


def test_shell_commands_pass_shellcheck(tmp_path):
    (config,) = documents("ray-up-aws.yaml")
    script = tmp_path / "commands.sh"
    commands = [
        *config["setup_commands"],
        *config["head_start_ray_commands"],
        *config["worker_start_ray_commands"],
    ]
    script.write_text("#!/bin/bash\nRAY_HEAD_IP=127.0.0.1\n" + "\n".join(commands) + "\n")
    checked = subprocess.run(
        [Path(sys.executable).with_name("shellcheck"), script], capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stdout


def test_the_slurm_script_passes_shellcheck():
    checked = subprocess.run(
        [Path(sys.executable).with_name("shellcheck"), CLUSTER / "slurm.sbatch"],
        capture_output=True,
        text=True,
    )
    assert checked.returncode == 0, checked.stdout


def test_the_image_can_compile_and_writes_into_its_own_home():
    text = (CLUSTER / "Dockerfile").read_text()
    packages = text.split("--no-install-recommends")[1].split("\\")[0].split()
    assert {"gcc", "g++", "libc6-dev"} <= set(packages), "Triton and Inductor compile at run time"
    for name in ("HF_HOME", "TORCH_HOME", "TORCHINDUCTOR_CACHE_DIR"):
        assert f" {name}=/home/ray/" in text


def test_the_image_passes_hadolint_and_is_pinned():
    checked = subprocess.run(
        [Path(sys.executable).with_name("hadolint"), CLUSTER / "Dockerfile"],
        capture_output=True,
        text=True,
    )
    assert checked.returncode == 0, checked.stdout
    text = (CLUSTER / "Dockerfile").read_text()
    assert "pip install --no-cache-dir -c constraints.txt" in text
    assert "USER 1000:1000" in text
    extras = text.split("'.[")[1].split("]'")[0].split(",")
    assert set(extras) <= set(
        tomllib.loads(Path("pyproject.toml").read_text())["project"]["optional-dependencies"]
    )
    for line in (line for line in text.splitlines() if line.startswith("COPY")):
        assert all(Path(name).exists() for name in line.split()[1:-1])
    kept = {
        line[1:] for line in Path(".dockerignore").read_text().splitlines() if line.startswith("!")
    }
    copied = [
        name for line in text.splitlines() if line.startswith("COPY") for name in line.split()[1:-1]
    ]
    assert {name.split("/")[0] for name in copied} <= kept


def test_grafana_reads_our_dashboard_from_prometheus():
    (sources,) = documents("grafana/provisioning/datasources/prometheus.yaml")
    assert [source["url"] for source in sources["datasources"]] == ["http://127.0.0.1:9090"]
    (dashboards,) = documents("grafana/provisioning/dashboards/otcondense.yaml")
    assert dashboards["providers"][0]["options"]["path"] == "$GRAFANA_DASHBOARDS"
    (prometheus,) = documents("prometheus/prometheus.yaml")
    assert prometheus["scrape_configs"][0]["file_sd_configs"]


def test_no_file_of_the_cluster_holds_a_secret():
    for path in (path for path in CLUSTER.rglob("*") if path.is_file()):
        text = path.read_text()
        assert "kind: Secret" not in text
        assert "stringData" not in text
        assert "aws_secret" not in text.lower()
