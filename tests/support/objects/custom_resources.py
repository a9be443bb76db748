"""Examples of both custom resources: the smallest, one with every field, an Application; and ways to change them."""

from __future__ import annotations

import copy

import pytest

from testbed import ApiError

HOSTS = {
    "apiVersion": "k8s.wasmcloud.dev/v1alpha1",
    "kind": "WasmCloudHostConfig",
    "metadata": {"name": "hosts"},
    "spec": {"lattice": "default", "version": "1.0.2"},
}
EVERYTHING = {
    "hostReplicas": 2,
    "issuers": ["CDKQ"],
    "lattice": "83a5b52e-17cf-4080-bac8-f844099f142e",
    "version": "1.4.2",
    "image": "registry.example.com/wasmcloud:1.4.2",
    "natsLeafImage": "registry.example.com/nats:2.10.16",
    "hostLabels": {"some-label": "value", "empty": ""},
    "natsAddress": "nats://nats-cluster.default.svc.cluster.local",
    "natsClientPort": 4222,
    "natsLeafnodePort": 7422,
    "jetstreamDomain": "default",
    "leafNodeDomain": "leaf",
    "secretName": "my-hosts",
    "registryCredentialsSecret": "my-registry-secret",
    "enableStructuredLogging": True,
    "configServiceEnabled": False,
    "controlTopicPrefix": "wasmbus.ctl",
    "allowLatest": False,
    "allowedInsecure": ["localhost:5000"],
    "logLevel": "INFO",
    "policyService": {"topic": "policy", "timeoutMs": 1000, "changesTopic": "policy.changes"},
    "secretsTopicPrefix": "wasmcloud.secrets",
    "maxLinearMemoryBytes": 1073741824,
    "observability": {
        "enable": True,
        "endpoint": "http://collector:4318",
        "protocol": "http",
        "logs": {"enable": True, "endpoint": "http://logs:4318"},
    },
    "certificates": {
        "authorities": [{"name": "ca", "configMap": {"name": "ca", "items": [{"key": "a.crt", "path": "a"}]}}]
    },
    "daemonset": True,
    "schedulingOptions": {
        "daemonset": True,
        "resources": {"nats": {"requests": {"cpu": "100m"}}, "wasmcloud": {"limits": {"memory": "1Gi", "cpu": 2}}},
        "podTemplateAdditions": {
            "tolerations": [{"operator": "Exists"}],
            "nodeSelector": {"kubernetes.io/os": "linux"},
            "volumes": [{"name": "data", "emptyDir": {"sizeLimit": "1Gi"}}],
            "containers": [{"name": "wasmcloud-host", "env": [{"name": "A", "value": "b"}]}],
            "topologySpreadConstraints": [
                {
                    "maxSkew": 1,
                    "topologyKey": "zone",
                    "whenUnsatisfiable": "ScheduleAnyway",
                    "labelSelector": {"matchLabels": {"a": "b"}},
                }
            ],
        },
        "containerTemplateAdditions": {
            "wasmcloud": {
                "livenessProbe": {"httpGet": {"port": "admin", "path": "/livez"}, "periodSeconds": 5},
                "ports": [{"containerPort": 9090}],
                "securityContext": {"capabilities": {"drop": ["ALL"]}},
            },
            "nats": {"envFrom": [{"secretRef": {"name": "s"}}]},
        },
    },
}

HELLO = {
    "apiVersion": "core.oam.dev/v1beta1",
    "kind": "Application",
    "metadata": {"name": "hello"},
    "spec": {
        "components": [
            {
                "name": "web",
                "type": "component",
                "properties": {
                    "image": "ghcr.io/x/web:1",
                    "id": "web",
                    "config": [{"name": "c", "properties": {"port": "8080"}}],
                    "secrets": [
                        {"name": "s", "properties": {"policy": "vault", "key": "k", "field": "f", "version": "1"}}
                    ],
                },
                "traits": [
                    {
                        "type": "spreadscaler",
                        "properties": {
                            "instances": 1,
                            "spread": [{"name": "s", "requirements": {"a": "b"}, "weight": 5}],
                        },
                    },
                    {"type": "not-known-yet", "properties": {"instances": "many", "target": [1, {"deep": None}]}},
                ],
            },
            {
                "name": "server",
                "type": "capability",
                "properties": {"application": {"name": "shared", "component": "http"}},
                "traits": [
                    {
                        "type": "link",
                        "properties": {
                            "namespace": "wasi",
                            "package": "http",
                            "interfaces": ["incoming-handler"],
                            "target": "web",
                            "source_config": [{"name": "a", "properties": {"address": "0.0.0.0:8000"}}],
                        },
                    }
                ],
            },
            {
                "name": "old",
                "type": "actor",
                "properties": {"image": "x"},
                "traits": [{"type": "daemonscaler", "properties": {"replicas": 1}}],
            },
        ],
        "policies": [
            {"name": "vault", "type": "policy.secret.wasmcloud.dev/v1alpha1", "properties": {"backend": "nats-kv"}}
        ],
    },
}


def with_spec(base, **changes):
    obj = copy.deepcopy(base)
    obj["spec"] |= changes
    return obj


def with_place(base, path, value):
    obj = copy.deepcopy(base)
    *parents, last = path
    place = obj
    for step in parents:
        place = place[step]
    place[last] = value
    return obj


async def refusal(admin, obj, namespace):
    """What the API server says to `kubectl create` of the object; older ones say a refused object's type too."""
    with pytest.raises(ApiError) as raised:
        await admin.create(obj, namespace)
    assert raised.value.status == 422, raised.value
    return str(raised.value).replace('Invalid value: "object": ', "Invalid value: ")
