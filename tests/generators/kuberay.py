"""KubeRay's custom resources (ray.io/v1, KubeRay 1.7) as a JSON schema, without pod templates."""

from typing import Any

TEXTS = {"type": "object", "additionalProperties": {"type": "string"}}
COUNT = {"type": "integer", "minimum": 0}
POD_TEMPLATE = {"type": "object", "required": ["spec"]}


def fields(required: list[str], **properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


AUTH_OPTIONS = fields(["mode"], mode={"enum": ["token", "disabled"]}, secretName={"type": "string"})
AUTOSCALER_OPTIONS = fields(
    [],
    version={"enum": ["v1", "v2"]},
    resources={"type": "object"},
    image={"type": "string"},
    imagePullPolicy={"type": "string"},
    env={"type": "array"},
    envFrom={"type": "array"},
    volumeMounts={"type": "array"},
    securityContext={"type": "object"},
    idleTimeoutSeconds=COUNT,
    upscalingMode={"enum": ["Default", "Aggressive", "Conservative"]},
)
HEAD_GROUP = fields(
    ["template"],
    serviceType={"type": "string"},
    headService={"type": "object"},
    enableIngress={"type": "boolean"},
    rayStartParams=TEXTS,
    resources=TEXTS,
    labels=TEXTS,
    template=POD_TEMPLATE,
)
WORKER_GROUP = fields(
    ["groupName", "template", "minReplicas", "maxReplicas"],
    groupName={"type": "string"},
    suspend={"type": "boolean"},
    replicas=COUNT,
    minReplicas=COUNT,
    maxReplicas=COUNT,
    numOfHosts=COUNT,
    idleTimeoutSeconds=COUNT,
    rayStartParams=TEXTS,
    resources=TEXTS,
    labels=TEXTS,
    scaleStrategy={"type": "object"},
    template=POD_TEMPLATE,
)
CLUSTER_SPEC = fields(
    ["headGroupSpec"],
    authOptions=AUTH_OPTIONS,
    suspend={"type": "boolean"},
    managedBy={"type": "string"},
    autoscalerOptions=AUTOSCALER_OPTIONS,
    headServiceAnnotations=TEXTS,
    enableInTreeAutoscaling={"type": "boolean"},
    gcsFaultToleranceOptions={"type": "object"},
    headGroupSpec=HEAD_GROUP,
    rayVersion={"type": "string"},
    workerGroupSpecs={"type": "array", "items": WORKER_GROUP},
)
JOB_SPEC = fields(
    ["entrypoint", "rayClusterSpec"],
    activeDeadlineSeconds={"type": "integer", "minimum": 1},
    preRunningDeadlineSeconds={"type": "integer", "minimum": 1},
    backoffLimit=COUNT,
    rayClusterSpec=CLUSTER_SPEC,
    submitterPodTemplate=POD_TEMPLATE,
    metadata=TEXTS,
    clusterSelector=TEXTS,
    submitterConfig=fields([], backoffLimit=COUNT),
    managedBy={"type": "string"},
    deletionStrategy={"type": "object"},
    entrypoint={"type": "string", "minLength": 1},
    runtimeEnvYAML={"type": "string"},
    jobId={"type": "string"},
    submissionMode={"enum": ["K8sJobMode", "HTTPMode", "InteractiveMode", "SidecarMode"]},
    entrypointResources={"type": "string"},
    entrypointNumCpus={"type": "number"},
    entrypointNumGpus={"type": "number"},
    ttlSecondsAfterFinished=COUNT,
    shutdownAfterJobFinishes={"type": "boolean"},
    suspend={"type": "boolean"},
)
SPECS = {"RayCluster": CLUSTER_SPEC, "RayJob": JOB_SPEC}
