"""Objects as `kubectl wasmcloud` reads them, for tests of its commands."""

from __future__ import annotations

from typing import Any

from wasmcloud_operator.kube.objects import CustomResource, ObjectMeta, Unstructured

Conditions = dict[str, tuple[str, str, str]]

FINE: Conditions = {"Ready": ("True", "HostsAvailable", "1 of 1 hosts available")}


def status(conditions: Conditions, **fields: Any) -> dict[str, Any]:
    entries = [
        {"type": kind, "status": value, "reason": reason, "message": message}
        for kind, (value, reason, message) in conditions.items()
    ]
    return {"observedGeneration": 1, "conditions": entries, **fields}


def resource(
    name: str, spec: Any, status: Any, *, annotations: dict[str, str] | None = None, deleting: bool = False
) -> CustomResource:
    metadata = ObjectMeta(
        name=name,
        namespace="team-a",
        uid=name,
        resource_version="1",
        generation=1,
        annotations=annotations or {},
        deletion_timestamp="2026-01-01T00:00:00Z" if deleting else None,
    )
    return CustomResource(metadata, spec, status)


def pool(conditions: Conditions, name: str = "edge", **changes: Any) -> CustomResource:
    spec = {"lattice": "x", "version": "1.9.0", **changes.pop("spec", {})}
    return resource(name, spec, status(conditions), **changes)


def app(conditions: Conditions, spec: Any = None, name: str = "shop", **changes: Any) -> CustomResource:
    fields = changes.pop("fields", {"lattice": "x", "hostConfig": "edge"})
    return resource(name, spec or {"components": []}, status(conditions, **fields), **changes)


def pod(name: str, pool_name: str = "edge", **pod_status: Any) -> Unstructured:
    labels = {"app.kubernetes.io/instance": pool_name}
    metadata = {"name": name, "namespace": "team-a", "uid": name, "resourceVersion": "1", "labels": labels}
    return Unstructured.from_body({"metadata": metadata, "spec": {}, "status": pod_status})


WAITING: Conditions = {"Ready": ("Unknown", "Waiting", "version 1 waits for hosts")}
