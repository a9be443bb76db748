"""The nats-leaf container: a native sidecar (KEP-753), so that it is there before the host and goes after it."""

from __future__ import annotations

from wasmcloud_operator.base.jsontypes import JsonObject
from wasmcloud_operator.hostpool import naming
from wasmcloud_operator.hostpool.inputs import Facts
from wasmcloud_operator.hostpool.nats_addresses import has_userinfo
from wasmcloud_operator.hostpool.natsconf import (
    CLIENT_PORT,
    CREDENTIALS_FILE,
    MONITOR_PORT,
    STORE_FOLDER,
    STORE_VOLUME,
    TLS_FOLDER,
)
from wasmcloud_operator.hostpool.pod_defaults import probe
from wasmcloud_operator_types import WasmCloudHostConfig, WasmCloudHostConfigSpec, defaults

CONF_KEY = "nats.conf"
_CONF_FILE = f"/nats/{CONF_KEY}"
# JetStream's own limit in nats.conf is below: a full store refuses a message instead of having the pod evicted.
_STORE_LIMIT = "1280Mi"
# The server itself, not its JetStream assets nor the hub: a hub that is away must not restart the leaf.
_HEALTH = "/healthz?js-server-only=true"


def leaf_container(spec: WasmCloudHostConfigSpec, facts: Facts) -> JsonObject:
    """The container, to stand among the pod's initContainers."""
    return {
        "name": naming.LEAF_CONTAINER,
        "image": spec.nats_leaf_image or defaults.LEAF_IMAGE,
        "args": ["-js", "--config", _CONF_FILE],
        "restartPolicy": "Always",
        "ports": [
            {"name": "nats-client", "containerPort": CLIENT_PORT, "protocol": "TCP"},
            {"name": "nats-monitor", "containerPort": MONITOR_PORT, "protocol": "TCP"},
        ],
        "startupProbe": probe(_HEALTH, MONITOR_PORT, period=1, failures=60),
        "readinessProbe": probe(_HEALTH, MONITOR_PORT, period=5, failures=3),
        "livenessProbe": probe(_HEALTH, MONITOR_PORT, period=10, failures=6),
        "volumeMounts": _mounts(facts),
    }


def leaf_volumes(config: WasmCloudHostConfig, facts: Facts) -> list[JsonObject]:
    """The volumes that the container mounts. Raises SpecError for an address that cannot be used."""
    spec = config.spec
    if has_userinfo(spec):
        conf: JsonObject = {"secret": {"secretName": naming.conf_secret_name(config)}}
    else:
        conf = {"configMap": {"name": config.metadata.name}}
    volumes: list[JsonObject] = [
        {"name": "nats-config", **conf},
        {"name": STORE_VOLUME, "emptyDir": {"sizeLimit": _STORE_LIMIT}},
    ]
    if facts.credentials:
        items = [{"key": "nats.creds", "path": "nats.creds"}]
        volumes.append({"name": "nats-creds", "secret": {"secretName": spec.secret_name, "items": items}})
    if facts.hub_tls is not None and spec.nats_tls is not None:
        volumes.append({"name": "nats-tls", "secret": {"secretName": spec.nats_tls.secret_name}})
    return volumes


def _mounts(facts: Facts) -> list[JsonObject]:
    mounts: list[JsonObject] = [
        {"name": "nats-config", "mountPath": _CONF_FILE, "subPath": CONF_KEY, "readOnly": True},
        {"name": STORE_VOLUME, "mountPath": STORE_FOLDER},
    ]
    if facts.credentials:
        folder = CREDENTIALS_FILE.rpartition("/")[0]
        mounts.append({"name": "nats-creds", "mountPath": folder, "readOnly": True})
    if facts.hub_tls is not None:
        mounts.append({"name": "nats-tls", "mountPath": TLS_FOLDER, "readOnly": True})
    return mounts
