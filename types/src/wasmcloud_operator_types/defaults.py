"""What the operator takes for a field of a host config that is left out."""

from __future__ import annotations

from pydantic import JsonValue

from wasmcloud_operator_types.hostconfig import WasmCloudHostConfigSpec
from wasmcloud_operator_types.parsing import changed, dump, parse

HOST_IMAGE = "ghcr.io/wasmcloud/wasmcloud"
# The version that the operator's tests run.
LEAF_IMAGE = "nats:2.15.2-alpine"
NATS_ADDRESS = "nats://nats.default.svc.cluster.local"
NATS_CLIENT_PORT = 4222
NATS_LEAFNODE_PORT = 7422
JETSTREAM_DOMAIN = "default"
LEAF_NODE_DOMAIN = "leaf"
LOG_LEVEL = "INFO"
CONTROL_TOPIC_PREFIX = "wasmbus.ctl"
ADMIN_PORT = 9090
ROLLOUT_SECONDS = 120


def effective(spec: WasmCloudHostConfigSpec) -> WasmCloudHostConfigSpec:
    """Returns the spec with what the operator takes for each field that is left out and has a default.

    Left out stay the fields without one, and those whose default is decided by more: `leafService` by credentials in a
    Secret, `probes.enabled` by what hosts of that version have, `rollingUpdate` by the nodes' ports that pods hold, the
    hub's ports beside a ws or wss address by that address.
    """
    return parse(WasmCloudHostConfigSpec, changed(_defaults(spec), dump(spec)))


def wants_budget(spec: WasmCloudHostConfigSpec) -> bool:
    """Whether the pool has a PodDisruptionBudget: as asked for, else where another host serves while one moves."""
    budget = spec.pod_disruption_budget
    if budget is not None:
        return budget.enabled is not False
    return spec.host_replicas > 1 and not spec.as_daemonset


def _defaults(spec: WasmCloudHostConfigSpec) -> dict[str, JsonValue]:
    addresses = (spec.nats_address or "").split(",")
    websocket = any(address.strip().startswith(("ws://", "wss://")) for address in addresses)
    ports: dict[str, JsonValue] = {"natsClientPort": NATS_CLIENT_PORT, "natsLeafnodePort": NATS_LEAFNODE_PORT}
    return {
        **({} if websocket else ports),
        "hostReplicas": spec.host_replicas,
        "image": f"{HOST_IMAGE}:{spec.version}",
        "natsLeafImage": LEAF_IMAGE,
        "natsAddress": NATS_ADDRESS,
        "jetstreamDomain": JETSTREAM_DOMAIN,
        "leafNodeDomain": LEAF_NODE_DOMAIN,
        "configServiceEnabled": False,
        "enableStructuredLogging": True,
        "logLevel": LOG_LEVEL,
        "controlTopicPrefix": CONTROL_TOPIC_PREFIX,
        "allowLatest": False,
        "daemonset": spec.as_daemonset,
        "probes": {"port": ADMIN_PORT},
        "rollout": {"waitForLattice": True, "waitForApplications": True, "timeoutSeconds": ROLLOUT_SECONDS},
        "podDisruptionBudget": _budget(spec),
    }


def _budget(spec: WasmCloudHostConfigSpec) -> dict[str, JsonValue]:
    if not wants_budget(spec):
        return {"enabled": False}
    asked = spec.pod_disruption_budget
    bounded = asked is not None and asked.min_available is not None
    return {"enabled": True} if bounded else {"enabled": True, "maxUnavailable": 1}
