"""The parts of Kueue's resources (kueue.x-k8s.io/v1beta2) that our files use, as JSON schemas."""

from tests.generators.kuberay import TEXTS, fields

NAME = {"type": "string", "pattern": "^[a-z0-9]([-a-z0-9./]*[a-z0-9])?$"}
QUANTITY = {"type": "string", "pattern": "^[0-9]+(m|Ki|Mi|Gi|Ti)?$"}
QUOTA = fields(["name", "nominalQuota"], name=NAME, nominalQuota=QUANTITY)
FLAVOR_QUOTAS = fields(
    ["name", "resources"], name=NAME, resources={"type": "array", "items": QUOTA, "minItems": 1}
)
RESOURCE_GROUP = fields(
    ["coveredResources", "flavors"],
    coveredResources={"type": "array", "items": NAME, "minItems": 1},
    flavors={"type": "array", "items": FLAVOR_QUOTAS, "minItems": 1},
)
SPECS = {
    "ResourceFlavor": fields(
        [],
        nodeLabels=TEXTS,
        nodeTaints={"type": "array"},
        tolerations={"type": "array"},
        topologyName=NAME,
    ),
    "ClusterQueue": fields(
        ["resourceGroups", "namespaceSelector"],
        resourceGroups={"type": "array", "items": RESOURCE_GROUP},
        namespaceSelector={"type": "object"},
        queueingStrategy={"enum": ["StrictFIFO", "BestEffortFIFO"]},
        cohortName=NAME,
        preemption={"type": "object"},
    ),
    "LocalQueue": fields(["clusterQueue"], clusterQueue=NAME),
}
