"""What the pods of a pool have unless their config has something else: requests, and nodes of their own."""

from __future__ import annotations

from collections.abc import Mapping

from wasmcloud_operator.base.jsontypes import Json, JsonObject, as_object
from wasmcloud_operator.hostpool import naming
from wasmcloud_operator_types import ResourceRequirements, WasmCloudHostConfig, dump

# What an idle container uses, so that the scheduler and autoscalers count it. No limits: how much is too much depends
# on the applications.
LEAF_REQUESTS = {"cpu": "25m", "memory": "64Mi"}
HOST_REQUESTS = {"cpu": "100m", "memory": "256Mi"}


def resources(
    defaults: Mapping[str, str], wanted: ResourceRequirements | None, additions: JsonObject, of_pod: Json = None
) -> JsonObject:
    """Returns the resources of a container before the additions are merged into it. `of_pod`: of the pod itself.

    A default request beside a limit of the user's, or beside what the whole pod has, could be above it, which the API
    server refuses; a limit alone is a request of that size already.
    """
    own: JsonObject = dump(wanted) if wanted is not None else {}
    taken = {*_sizes(own, "limits"), *_sizes(additions.get("resources"), "limits")}
    taken |= {*_sizes(of_pod, "limits"), *_sizes(of_pod, "requests")}
    requests = {name: size for name, size in defaults.items() if name not in taken}
    return {**own, "requests": {**requests, **(own.get("requests") or {})}}


def probe(path: str, port: int, *, period: int, failures: int) -> JsonObject:
    """Returns a probe of a container: a GET every `period` seconds, and how many failures are too many."""
    get = {"path": path, "port": port}
    return {"httpGet": get, "periodSeconds": period, "timeoutSeconds": 3, "failureThreshold": failures}


def spread(config: WasmCloudHostConfig) -> JsonObject:
    """Returns the fields of a Deployment's pod that prefer nodes and zones without a host of the pool.

    The zones are no second constraint: where nodes have no zones the scheduler would then heed neither of the two.
    """
    if config.spec.as_daemonset:
        return {}
    selector = {"matchLabels": naming.selector_labels(config)}
    return {
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": "kubernetes.io/hostname",
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": selector,
                # Or the pods that a change is about to replace would count, and the new ones end up uneven.
                "matchLabelKeys": ["pod-template-hash"],
            }
        ],
        "affinity": {
            "podAntiAffinity": {
                "preferredDuringSchedulingIgnoredDuringExecution": [
                    {
                        "weight": 100,
                        "podAffinityTerm": {"topologyKey": "topology.kubernetes.io/zone", "labelSelector": selector},
                    }
                ]
            }
        },
    }


def _sizes(found: Json, field: str) -> JsonObject:
    return as_object(as_object(found).get(field))
